// Keys and values in a file: what is decoded is what a resident cache gives, bit for bit; the counts say what
// was read.

#include "decode/tiered_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "tests/decode/direct_io.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr int kSteps = 24;
constexpr PromptNeeds kNeeds = {.last_queries = 32, .column_mass = true};  // of all policies
constexpr std::int64_t kBlockRows = 8;                                     // 512 bytes of K and V in bf16

class Tiered : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why = why_no_direct_io();
    if (!why.empty()) GTEST_SKIP() << why;
  }

  std::shared_ptr<const Prompt> prompt_of(std::int64_t length) {
    return decoder_.prefill(random_ids(length, 3), nullptr, {}, kNeeds);
  }

  TierOptions tier(const Prompt& prompt, double share) {
    return {.file = std::make_shared<KvFile>(decoder_.model().config(), *prompt.rows, kFolder, kBlockRows),
            .fast_bytes = static_cast<std::size_t>(share * static_cast<double>(prompt.rows->bytes())),
            .io_threads = 3};
  }

  Decoder decoder_{tiny_model(DType::bf16), {.n_threads = 2}};
};

/// Decodes an offloaded fork; `expected`'s tokens are fed, so that every step can be compared.
TierCounts expect_same(Decoder& decoder, const std::shared_ptr<const Prompt>& prompt, const PolicyPtr& policy,
                       const Decoded& expected, const TierOptions& tier) {
  const auto sequence = decoder.fork(prompt, policy, kSteps, 0, nullptr, &tier);
  Sequence* row = sequence.get();
  std::int32_t fed = prompt->ids.back();
  for (std::size_t step = 0; step < expected.ids.size(); ++step) {
    decoder.step({&row, 1}, {&fed, 1});
    EXPECT_TRUE(std::ranges::equal(row->logits(), expected.logits[step])) << "step " << step;
    fed = expected.ids[step];
  }
  return *sequence->tier();
}

class TieredPolicy : public Tiered, public ::testing::WithParamInterface<const char*> {};

TEST_P(TieredPolicy, DecodesWhatAResidentCacheDoes) {
  const auto policy = policy_of(GetParam());
  for (const std::int64_t length : {33, 200, 201}) {
    const auto prompt = prompt_of(length);
    const Decoded expected = decode(decoder_, prompt, policy, kSteps);
    for (const double share : {0.65, 1.0}) {
      SCOPED_TRACE(fmt::format("{} positions, {} of them in the fast tier", length, share));
      const TierCounts counts = expect_same(decoder_, prompt, policy, expected, tier(*prompt, share));
      EXPECT_EQ(counts.wanted, counts.held + counts.predicted + counts.missed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Policies, TieredPolicy,
    ::testing::Values("full", "oracle:budget=9,sharing=group", "random:budget=9", "window:budget=12",
                      "tidal:budget=9,select=1+3", "tidal:budget=9,select=2,sharing=group",
                      "tidal:budget=9,select=2,sharing=all", "lessismore:budget=16,select=1+3",
                      "kascade:budget=10%", "omnikv:budget=9", "quest:budget=8,page=4",
                      "quest:budget=8,page=4,sharing=group", "tokenselect:budget=20", "sparq:budget=9",
                      "sparq:budget=9,sharing=head,mean=off", "doublesparsity:budget=9,channels=all",
                      "doublesparsity:budget=9,channels=all,labels=4,sharing=group", "streaming:budget=9",
                      "h2o:budget=8,evict=no", "snapkv:budget=9,sharing=group",
                      "tidal:budget=9,select=2,correct=5"),
    [](const auto& of) {
      std::string name = of.param;
      std::ranges::replace_if(
          name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

TEST_F(Tiered, ASetSharedByAllHeadsIsReadOfEachKvHead) {
  const auto prompt = prompt_of(200);
  const auto policy = policy_of("window:budget=8,sinks=0,full=none");
  const Decoded expected = decode(decoder_, prompt, policy, 1);
  const TierCounts counts = expect_same(decoder_, prompt, policy, expected, tier(*prompt, 0.5));
  // Positions 192 to 199: seven rows of the prompt's last block, by two KV heads and five layers.
  EXPECT_EQ(counts.wanted, 2 * 5);
  // No selection has told yet what the first layer reads; for the others it is foreseen.
  EXPECT_EQ(counts.missed, 2);
  EXPECT_EQ(counts.predicted, 8);
  EXPECT_EQ(counts.bytes, 10 * 512);
}

TEST_F(Tiered, ASecondStepFindsTheFirstOnesBlocks) {
  const auto prompt = prompt_of(200);
  const auto policy = policy_of("window:budget=8,sinks=4,full=none");
  const Decoded expected = decode(decoder_, prompt, policy, 2);
  const TierCounts counts = expect_same(decoder_, prompt, policy, expected, tier(*prompt, 0.5));
  EXPECT_EQ(counts.wanted, 2 * 2 * 2 * 5);
  EXPECT_EQ(counts.held, 2 * 2 * 5);
}

TEST_F(Tiered, WhatASelectionChoseIsForeseenForTheLayersAfterIt) {
  const auto prompt = prompt_of(200);
  const auto policy = policy_of("tidal:budget=9,select=2");
  const Decoded expected = decode(decoder_, prompt, policy, kSteps);
  const TierCounts counts = expect_same(decoder_, prompt, policy, expected, tier(*prompt, 0.75));
  EXPECT_GT(counts.predicted, 0);
  EXPECT_EQ(counts.missed, 0);
}

TEST_F(Tiered, LayersThatReadEverythingAreReadAnewUnlessTheyFit) {
  const auto prompt = prompt_of(201);
  const auto policy = policy_of("full");
  const Decoded expected = decode(decoder_, prompt, policy, 4);
  const std::int64_t layer = 2 * 25 * 512;
  // Five layers' room: nothing is read. Three: one is held, two rooms serve the other four, of which the
  // last to be read stays for nothing (it gives way before it is asked for again).
  EXPECT_EQ(expect_same(decoder_, prompt, policy, expected, tier(*prompt, 1.0)).bytes, 0);
  EXPECT_EQ(expect_same(decoder_, prompt, policy, expected, tier(*prompt, 0.6)).bytes, 4 * 4 * layer);
}

TEST_F(Tiered, MemoryStaysWithinTheFastTier) {
  const auto prompt = prompt_of(201);
  for (const char* spec : {"full", "tidal:budget=9,select=2", "quest:budget=8,page=4"}) {
    for (const double share : {0.45, 0.6, 0.8}) {
      const TierOptions options = tier(*prompt, share);
      const auto sequence = decoder_.fork(prompt, policy_of(spec), 1, 0, nullptr, &options);
      const auto resident = decoder_.fork(prompt, policy_of(spec), 1);
      const std::size_t own = resident->cache_bytes() - prompt->rows->bytes();
      EXPECT_LE(sequence->cache_bytes() - own, options.fast_bytes) << spec << ' ' << share;
    }
  }
}

TEST_F(Tiered, NothingOfThePromptsRowsIsKept) {
  auto prompt = prompt_of(100);
  const TierOptions options = tier(*prompt, 0.7);
  const std::weak_ptr<const KvRows> rows = prompt->rows;
  const auto sequence = decoder_.fork(prompt, policy_of("tidal:budget=9,select=2"), 4, 0, nullptr, &options);
  const std::int32_t last = prompt->ids.back();
  prompt.reset();
  EXPECT_TRUE(rows.expired());
  Sequence* row = sequence.get();
  decoder_.step({&row, 1}, {&last, 1});
}

TEST_F(Tiered, ForksShareOneFileAndAStep) {
  const auto prompt = prompt_of(120);
  const TierOptions options = tier(*prompt, 0.6);
  const std::vector<PolicyPtr> policies = {policy_of("tidal:budget=9,select=2"), policy_of("full"),
                                           policy_of("quest:budget=8,page=4")};
  std::vector<Decoded> expected;
  std::vector<std::unique_ptr<Sequence>> forks;
  std::vector<Sequence*> rows;
  for (const PolicyPtr& policy : policies) {
    expected.push_back(decode(decoder_, prompt, policy, 6));
    forks.push_back(decoder_.fork(prompt, policy, 6, 0, nullptr, &options));
    rows.push_back(forks.back().get());
  }
  std::vector<std::int32_t> fed(rows.size(), prompt->ids.back());
  for (std::size_t step = 0; step < 6; ++step) {
    decoder_.step(rows, fed);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_TRUE(std::ranges::equal(rows[i]->logits(), expected[i].logits[step])) << i << ' ' << step;
      fed[i] = expected[i].ids[step];
    }
  }
}

/// The first `count` weights of each head; what stands after them up to the stride is nobody's.
void expect_same_weights(const std::vector<float>& a, std::int64_t a_stride, const std::vector<float>& b,
                         std::int64_t b_stride, std::size_t count) {
  for (int head = 0; head < 6; ++head) {
    const auto at = a.begin() + head * a_stride, other = b.begin() + head * b_stride;
    ASSERT_TRUE(std::equal(at, at + static_cast<std::ptrdiff_t>(count), other)) << "head " << head;
  }
}

TEST_F(Tiered, ObserversSeeOriginalPositionsAndAShadow) {
  const auto prompt = prompt_of(150);
  const TierOptions options = tier(*prompt, 0.6);
  const auto policy = policy_of("tidal:budget=9,select=2");
  KeepingObserver resident(KeepingObserver::everything()), offloaded(KeepingObserver::everything());
  for (KeepingObserver* seen : {&resident, &offloaded}) {
    const auto sequence = decoder_.fork(prompt, policy, 3, 0, seen, seen == &offloaded ? &options : nullptr);
    Sequence* row = sequence.get();
    for (int step = 0; step < 3; ++step) {
      const std::int32_t fed = step == 0 ? prompt->ids.back() : 17;
      decoder_.step({&row, 1}, {&fed, 1});
    }
  }
  ASSERT_EQ(resident.layers.size(), offloaded.layers.size());
  for (std::size_t i = 0; i < resident.layers.size(); ++i) {
    const SeenLayer &a = resident.layers[i], &b = offloaded.layers[i];
    ASSERT_EQ(a.positions_of(3), b.positions_of(3)) << i;
    expect_same_weights(a.prob, a.prob_stride, b.prob, b.prob_stride, a.positions_of(3).size());
    expect_same_weights(a.shadow_prob, a.shadow_stride, b.shadow_prob, b.shadow_stride,
                        static_cast<std::size_t>(a.kv_len));
    ASSERT_EQ(a.shadow_output, b.shadow_output) << i;
    ASSERT_EQ(a.bytes_read, b.bytes_read) << i;
  }
}

template <typename Make>
std::string refusal(const Make& make) {
  try {
    make();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST_F(Tiered, AnEvictingPolicyIsRefusedUnlessItMayKeepItsRows) {
  const auto prompt = prompt_of(60);
  const TierOptions options = tier(*prompt, 1.0);
  EXPECT_NE(refusal([&] {
              decoder_.fork(prompt, policy_of("streaming:budget=9,evict=yes"), 1, 0, nullptr, &options);
            }).find("with evict=yes there are no rows to offload; expected evict=auto or no"),
            std::string::npos);
}

TEST_F(Tiered, SlidingWindowsAreReadAsInMemory) {
  ModelConfig config = tiny_config();
  config.window.assign(static_cast<std::size_t>(config.n_layers), 40);
  Decoder decoder(tiny_model(config, WeightType::bf16), {.n_threads = 2});
  const auto prompt = decoder.prefill(random_ids(150, 5));
  const TierOptions options = tier(*prompt, 0.8);
  for (const char* spec : {"full", "tidal:budget=9,select=2", "sparq:budget=9", "quest:budget=8,page=4",
                           "doublesparsity:budget=9,channels=all"}) {
    SCOPED_TRACE(spec);
    const auto policy = make_policy(spec, {.config = &decoder.model().config(), .model_sha256 = kTinySha});
    expect_same(decoder, prompt, policy, decode(decoder, prompt, policy, kSteps), options);
  }
}

TEST_F(Tiered, AFastTierThatHoldsTooLittleIsRefused) {
  const auto prompt = prompt_of(200);
  const TierOptions little = tier(*prompt, 0.2);
  EXPECT_NE(refusal([&] {
              decoder_.fork(prompt, policy_of("full"), 1, 0, nullptr, &little);
            }).find("two layers of this prompt take 51200"),
            std::string::npos);
}

TEST_F(Tiered, AChoiceThatThePoolCannotHoldFailsWithItsSize) {
  const auto prompt = prompt_of(200);
  const TierOptions little = tier(*prompt, 0.02);
  const auto sequence = decoder_.fork(prompt, policy_of("window:budget=150,sinks=0"), 1, 0, nullptr, &little);
  Sequence* row = sequence.get();
  const std::int32_t fed = prompt->ids.back();
  EXPECT_EQ(refusal([&] {
              decoder_.step({&row, 1}, {&fed, 1});
            }),
            "offload: the fast tier has room for 4 blocks, one layer's choice takes 38");
}

TEST_F(Tiered, BlocksThatTheDiskCannotReadAreRefused) {
  const auto prompt = prompt_of(20);
  EXPECT_NE(refusal([&] {
              KvFile(decoder_.model().config(), *prompt->rows, kFolder, 3);
            }).find("blocks of 3 positions take 192 bytes here, expected a multiple of the disk's"),
            std::string::npos);
}

TEST(DirectFile, AFolderThatIsNoneIsRefusedByName) {
  EXPECT_EQ(refusal([] { DirectFile("no/such/folder"); }),
            "no/such/folder: is no folder, expected one on a local disk");
}

TEST(DirectFile, AFolderWithoutFilesOfItsOwnIsRefusedByName) {
  EXPECT_TRUE(refusal([] { DirectFile("/proc"); }).starts_with("/proc: "));
}

}  // namespace
}  // namespace tide::testing
