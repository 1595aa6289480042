// tokenselect: parameters and refusals, what its cache tells, and prompts that are passed sparsely.
// Positions, scores and outputs are compared with NumPy in tests/oracle.

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

class TokenSelect : public ::testing::Test {
 protected:
  std::unique_ptr<Sequence> run(const std::string& spec, KeepingObserver* observer = nullptr) {
    const auto prompt = decoder.prefill(random_ids(90, 2));
    auto sequence = decoder.fork(prompt, policy_of(spec), 8, 0, observer);
    Sequence* row = sequence.get();
    std::int32_t fed = prompt->ids.back();
    for (const std::int32_t next : random_ids(8, 3)) {
      decoder.step({&row, 1}, {&fed, 1});
      fed = next;
    }
    return sequence;
  }
  Decoder decoder{tiny_model(WeightType::f32), {.kv_dtype = DType::f32, .n_threads = 2}};
};

TEST_F(TokenSelect, LeavesWhatOlderSpecsDidNotHaveOutOfItsCanonicalForm) {
  EXPECT_EQ(policy_of("tokenselect")->canonical(),
            "tokenselect:budget=64,n_init=paper,n_local=paper,placement=FFEEE,positions=contiguous,"
            "threshold=0.9");
  EXPECT_EQ(policy_of("tokenselect:scores=rotated")->canonical(), policy_of("tokenselect")->canonical());
  EXPECT_THAT(policy_of("tokenselect:scores=raw")->canonical(), ::testing::HasSubstr(",scores=raw,"));
}

TEST_F(TokenSelect, RefusesScoresThatItDoesNotKnow) {
  expect_input_error([] { policy_of("tokenselect:scores=row"); }, "scores 'row'");
}

TEST_F(TokenSelect, TellsWhetherItsCacheServed) {
  for (const auto& [threshold, rate] : {std::pair{"-1", 7.0 / 8}, std::pair{"1.5", 0.0}}) {
    KeepingObserver observer;
    const auto sequence = run(std::string("tokenselect:budget=24,threshold=") + threshold, &observer);
    EXPECT_DOUBLE_EQ(sequence->reuse_rate(), rate);
    for (const SeenLayer& seen : observer.layers) {
      const SetOrigin voted = seen.step == 0 || rate == 0 ? SetOrigin::anew : SetOrigin::reused;
      EXPECT_EQ(seen.set_origin, seen.layer < 2 ? SetOrigin::untold : voted);
    }
  }
}

TEST_F(TokenSelect, AloneAmongTheseTellsOfACache) {
  for (const char* spec : {"full", "tidal:budget=8,select=2", "quest:budget=32", "oracle:budget=8"})
    EXPECT_TRUE(std::isnan(run(spec)->reuse_rate())) << spec;
}

TEST_F(TokenSelect, VotesOtherwiseByRawProducts) {
  KeepingObserver rotated, raw;
  run("tokenselect:budget=24,threshold=1.5", &rotated);
  run("tokenselect:budget=24,threshold=1.5,scores=raw", &raw);
  bool differs = false;
  for (std::size_t i = 0; i < raw.layers.size(); ++i) {
    if (raw.layers[i].read)
      differs = differs || raw.layers[i].read->position != rotated.layers[i].read->position;
  }
  EXPECT_TRUE(differs);
}

/// Passes prompts in chunks of 16 that read all positions before them, one set that falls, gathered.
class ReadsAllInChunks final : public AttentionPolicy {
 public:
  const std::string& canonical() const override { return name_; }
  std::span<const Role> placement() const override { return inner_->placement(); }
  PrefillRule prefill_rule() const override { return {name_, 16}; }
  std::unique_ptr<PromptReader> begin_prompt() const override { return std::make_unique<Reader>(); }
  std::unique_ptr<PolicyState> begin(std::uint64_t seed) const override { return inner_->begin(seed); }

 private:
  class Reader final : public PromptReader {
   public:
    const PositionSets* choose(const ChunkStep& chunk) override {
      sets_.n_sets = 1;
      sets_.width = static_cast<int>(chunk.before.kv_len);
      sets_.position.resize(static_cast<std::size_t>(sets_.width));
      for (int i = 0; i < sets_.width; ++i) sets_.position[static_cast<std::size_t>(i)] = sets_.width - 1 - i;
      sets_.count = {sets_.width};
      sets_.contiguous = true;
      return &sets_;
    }
    PositionSets sets_;
  };
  std::string name_ = "all";
  PolicyPtr inner_ = policy_of("full");
};

/// Keys and values of every layer, as bytes.
std::vector<std::byte> bytes_of(const Prompt& prompt, const ModelConfig& config) {
  std::vector<std::byte> bytes;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const kernels::KvSegment segment = prompt.rows->segment(layer, prompt.rows->count());
    const std::size_t size = kernels::size_of(prompt.rows->dtype());
    for (int head = 0; head < config.n_kv_heads; ++head) {
      for (const void* rows : {segment.k, segment.v}) {
        const auto* begin =
            static_cast<const std::byte*>(rows) + static_cast<std::size_t>(head * segment.head_stride) * size;
        bytes.insert(bytes.end(), begin,
                     begin + static_cast<std::size_t>(segment.count * config.head_dim) * size);
      }
    }
  }
  return bytes;
}

TEST(SparsePrefill, ThatReadsEverythingIsTheDensePassBitForBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto model = tiny_model(dtype);
    Decoder decoder(model, {.kv_dtype = dtype, .n_threads = 2, .prefill_chunk = 16});
    const auto ids = random_ids(90, 2);
    const auto dense = bytes_of(*decoder.prefill(ids), model->config());
    const ReadsAllInChunks all;
    EXPECT_EQ(bytes_of(*decoder.prefill(ids, nullptr, {}, {}, &all), model->config()), dense);
    const auto covered = policy_of("tokenselect:prefill=sparse,chunk=16,budget=100%");
    EXPECT_EQ(bytes_of(*decoder.prefill(ids, nullptr, {}, {}, covered.get()), model->config()), dense);
    const auto less = policy_of("tokenselect:prefill=sparse,chunk=16,budget=24");
    EXPECT_NE(bytes_of(*decoder.prefill(ids, nullptr, {}, {}, less.get()), model->config()), dense);
  }
}

TEST(SparsePrefill, GivesTheSameBitsOnAnyNumberOfThreads) {
  const auto model = tiny_model(DType::bf16);
  const auto ids = random_ids(200, 2);
  for (const char* scores : {"raw", "rotated"}) {
    const auto policy =
        policy_of(std::string("tokenselect:prefill=sparse,chunk=16,budget=24,scores=") + scores);
    std::vector<std::byte> of_one;
    for (const int n_threads : {1, 3}) {
      Decoder decoder(model, {.n_threads = n_threads});
      const auto bytes = bytes_of(*decoder.prefill(ids, nullptr, {}, {}, policy.get()), model->config());
      if (n_threads == 1) of_one = bytes;
      EXPECT_EQ(bytes, of_one);
    }
  }
}

TEST_F(TokenSelect, SharesAPromptWithWhoeverPassesItByTheSameRule) {
  const auto sparse = policy_of("tokenselect:budget=24,prefill=sparse,chunk=16"),
             same = policy_of("tokenselect:budget=24,prefill=sparse,chunk=16,threshold=0.5"),
             other = policy_of("tokenselect:budget=24,prefill=sparse,chunk=32"),
             dense = policy_of("tokenselect:budget=24");
  const auto prompt = decoder.prefill(random_ids(90, 2), nullptr, {}, {}, sparse.get());
  const auto plain = decoder.prefill(random_ids(90, 2), nullptr, {}, {}, dense.get());
  EXPECT_NO_THROW(decoder.fork(prompt, sparse, 1));
  EXPECT_NO_THROW(decoder.fork(prompt, same, 1));
  EXPECT_NO_THROW(decoder.fork(plain, policy_of("full"), 1));
  expect_input_error([&] { decoder.fork(prompt, other, 1); }, "chunks of 32");
  expect_input_error([&] { decoder.fork(prompt, dense, 1); }, "continues prompts that were passed densely");
  expect_input_error([&] { decoder.fork(prompt, policy_of("full"), 1); },
                     "this one was passed by 'tokenselect");
  expect_input_error([&] { decoder.fork(plain, sparse, 1); }, "this one was passed densely");
}

TEST_F(TokenSelect, RefusesASparsePassThatCannotBe) {
  expect_input_error([] { policy_of("tokenselect:chunk=64"); }, "chunk is a key of prefill=sparse");
  expect_input_error([] { policy_of("tokenselect:prefill=sparse,chunk=0"); }, "chunk is 0");
  expect_input_error([] { policy_of("tokenselect:prefill=spare"); }, "prefill 'spare'");
  ModelConfig windowed = tiny_config();
  windowed.window = {0, 0, 0, 24, 0};
  expect_input_error(
      [&] {
        make_policy("tokenselect:prefill=sparse", {&windowed, kTinySha});
      },
      "layer 3 has a sliding window of 24 positions");
  EXPECT_NO_THROW(make_policy("tokenselect:prefill=sparse,full=0-1+3", {&windowed, kTinySha}));
  ObserverWants wants;
  wants.prefill_rows = {3};
  KeepingObserver observer(wants);
  const auto sparse = policy_of("tokenselect:prefill=sparse,chunk=16");
  expect_input_error([&] { decoder.prefill(random_ids(90, 2), &observer, {}, {}, sparse.get()); },
                     "--prefill-rows");
}

TEST_F(TokenSelect, WritesItsPrefillRuleOut) {
  EXPECT_EQ(policy_of("tokenselect:prefill=dense")->canonical(), policy_of("tokenselect")->canonical());
  EXPECT_EQ(policy_of("tokenselect:prefill=sparse")->canonical(),
            "tokenselect:budget=64,chunk=512,n_init=paper,n_local=paper,placement=FFEEE,positions=contiguous,"
            "prefill=sparse,threshold=0.9");
}

}  // namespace
}  // namespace tide::testing
