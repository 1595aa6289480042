// Biases and norms of heads: a prompt's row and a step's take the same way.

#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "decode/qkv_row.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

struct Parts {
  const char* name;
  bool qkv_bias, output_bias, qk_norm;
};

class Architecture : public ::testing::TestWithParam<Parts> {
 protected:
  ModelConfig config() const {
    ModelConfig config = tiny_config();
    config.qkv_bias = GetParam().qkv_bias;
    config.output_bias = GetParam().output_bias;
    config.qk_norm = GetParam().qk_norm;
    return config;
  }
  Decoder decoder(const ModelConfig& of, int n_threads = 2) const {
    return Decoder(tiny_model(of, WeightType::f32), {.kv_dtype = DType::f32, .n_threads = n_threads});
  }
};

TEST_P(Architecture, PrefillAgreesWithFeedingThePromptTokenByToken) {
  const auto ids = random_ids(90, 2);
  Decoder with = decoder(config()), without = decoder(tiny_config());
  const auto expected = decode(with, with.prefill(ids), policy_of("full"), 1).logits[0];
  const auto first = with.prefill(std::span(ids).first(1));
  const auto stepped =
      decode(with, first, policy_of("full"), 90, nullptr, {ids.begin() + 1, ids.end()}).logits.back();
  EXPECT_THAT(stepped, Pointwise(FloatNear(1e-3f), expected));
  const auto plain = decode(without, without.prefill(ids), policy_of("full"), 1).logits[0];
  EXPECT_THAT(plain, ::testing::Not(Pointwise(FloatNear(1e-2f), expected)));  // the parts matter
}

TEST_P(Architecture, RowsDoNotKnowTheirBatch) {
  Decoder together = decoder(config(), 3);
  const auto prompt = together.prefill(random_ids(30, 4));
  const auto alone = decode(together, prompt, policy_of("full"), 1).logits[0];
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> rows;
  for (int i = 0; i < 5; ++i) {
    sequences.push_back(together.fork(prompt, policy_of(i % 2 ? "full" : "tidal:budget=8,select=2"), 1));
    rows.push_back(sequences.back().get());
  }
  together.step(rows, std::vector<std::int32_t>(5, prompt->ids.back()));
  for (int i = 1; i < 5; i += 2) {
    EXPECT_TRUE(std::ranges::equal(rows[static_cast<std::size_t>(i)]->logits(), alone));
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, Architecture,
                         ::testing::Values(Parts{"QkvBias", true, false, false},
                                           Parts{"AllBiases", true, true, false},
                                           Parts{"NormsOfHeads", false, false, true},
                                           Parts{"Everything", true, true, true}),
                         [](const auto& test) { return test.param.name; });

TEST(FinishQkv, AddsTheBiasThenNormsThenRotates) {
  ModelConfig config = tiny_config();
  config.n_heads = config.n_kv_heads = 1;
  config.head_dim = 8;
  LayerWeights weights;
  const auto vector = [](std::int64_t size, float value) { return at::full({size}, value); };
  weights.qkv_bias = vector(24, 1.0f);
  weights.q_norm = vector(8, 2.0f);
  weights.k_norm = vector(8, 3.0f);
  const std::vector<float> cosine(4, 0.0f), sine(4, 1.0f);  // a quarter turn
  std::vector<float> qkv(24, 4.0f);
  finish_qkv(config, weights, cosine.data(), sine.data(), qkv.data());
  // 4 + 1 is 5 at every place, 1 after the norm; (2, 2) turns to (-2, 2). V has its bias alone.
  EXPECT_NEAR(qkv[0], -2, 1e-4);
  EXPECT_NEAR(qkv[4], 2, 1e-4);
  EXPECT_NEAR(qkv[8], -3, 1e-4);
  EXPECT_NEAR(qkv[12], 3, 1e-4);
  EXPECT_EQ(qkv[16], 5);
}

}  // namespace
}  // namespace tide::testing
