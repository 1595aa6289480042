// What observers see, and that seeing changes nothing.

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr std::int64_t kPromptLen = 90, kSteps = 6;

class Observation : public ::testing::TestWithParam<std::string> {};

Decoded run(DType dtype, const std::string& spec, DecodeObserver* observer) {
  Decoder decoder(tiny_model(dtype), {.kv_dtype = dtype, .n_threads = 2});
  return decode(decoder, decoder.prefill(random_ids(kPromptLen, 1), observer), policy_of(spec), kSteps,
                observer);
}

TEST_P(Observation, LeavesLogitsBitIdentical) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ObserverWants wants = KeepingObserver::everything();
    wants.prefill_rows = {0, 40, 88};
    KeepingObserver observer(wants);
    EXPECT_EQ(run(dtype, GetParam(), nullptr).logits, run(dtype, GetParam(), &observer).logits);
    EXPECT_EQ(observer.layers.size(), static_cast<std::size_t>(kSteps * tiny_config().n_layers));
    EXPECT_EQ(observer.steps.size(), static_cast<std::size_t>(kSteps));
  }
}

TEST_P(Observation, ShadowIsFullAttentionOfTheSameQuery) {
  KeepingObserver observer(KeepingObserver::everything());
  run(DType::f32, GetParam(), &observer);
  for (const SeenLayer& seen : observer.layers) {
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      const float* shadow = seen.shadow_prob.data() + head * seen.shadow_stride;
      EXPECT_NEAR(std::accumulate(shadow, shadow + seen.kv_len, 0.0), 1.0, 1e-5);
      // Softmax over a subset keeps the ratios of softmax over everything.
      const std::vector<std::int32_t> positions = seen.positions_of(head);
      const float* prob = seen.prob.data() + head * seen.prob_stride;
      double mass = 0, sum = 0;
      for (std::size_t i = 0; i < positions.size(); ++i) {
        mass += shadow[positions[i]];
        sum += prob[i];
      }
      EXPECT_NEAR(sum, 1.0, 1e-5);
      for (std::size_t i = 0; i < positions.size(); ++i) {
        ASSERT_NEAR(prob[i] * mass, shadow[positions[i]], 1e-5)
            << "layer " << seen.layer << " head " << head << " position " << positions[i];
      }
    }
    if (!seen.read) {
      EXPECT_EQ(seen.output, seen.shadow_output);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, Observation,
                         ::testing::Values("full", "tidal:budget=12,select=1+3,sharing=group",
                                           "oracle:budget=9,sinks=2", "random:budget=9", "window:budget=11"),
                         [](const auto& test) { return test.param.substr(0, test.param.find(':')); });

TEST(ObserverWants, WhatIsNotAskedForStaysOut) {
  KeepingObserver observer;
  run(DType::f32, "tidal:budget=12,select=2", &observer);
  for (const SeenLayer& seen : observer.layers) {
    EXPECT_TRUE(seen.prob.empty() && seen.shadow_prob.empty() && seen.shadow_output.empty() &&
                seen.query.empty());
    EXPECT_FALSE(seen.output.empty());
  }
}

TEST(ObserverWants, ShadowOutputAloneBringsNoWeights) {
  ObserverWants wants;
  wants.shadow_output = true;
  KeepingObserver observer(wants);
  run(DType::f32, "tidal:budget=12,select=2", &observer);
  for (const SeenLayer& seen : observer.layers) {
    EXPECT_TRUE(seen.prob.empty() && seen.shadow_prob.empty()) << "layer " << seen.layer;
    EXPECT_FALSE(seen.shadow_output.empty());
  }
}

TEST(ObserverWants, OnlyTheLayersAskedForAreReported) {
  ObserverWants wants;
  wants.layers = {false, true, false, true, false};
  wants.prefill_rows = {5};
  KeepingObserver observer(wants);
  run(DType::f32, "full", &observer);
  std::vector<int> layers, prefill_layers;
  for (const SeenLayer& seen : observer.layers) layers.push_back(seen.layer);
  for (const SeenPrefill& seen : observer.prefills) prefill_layers.push_back(seen.layer);
  EXPECT_THAT(layers, ::testing::ElementsAre(1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3));
  EXPECT_THAT(prefill_layers, ::testing::ElementsAre(1, 3));
}

TEST(StepEvents, CountStepsAndPositions) {
  KeepingObserver observer;
  const Decoded decoded = run(DType::f32, "full", &observer);
  for (std::size_t step = 0; step < observer.steps.size(); ++step) {
    EXPECT_EQ(observer.steps[step].step, static_cast<std::int64_t>(step));
    EXPECT_EQ(observer.steps[step].kv_len, kPromptLen + static_cast<std::int64_t>(step));
    EXPECT_EQ(observer.steps[step].fed_id,
              step == 0 ? random_ids(kPromptLen, 1).back() : decoded.ids[step - 1]);
    EXPECT_EQ(observer.steps[step].logits, decoded.logits[step]);
  }
}

TEST(LayerEvents, CarryRolesAndWhatWasReadAndChosen) {
  KeepingObserver observer;
  run(DType::f32, "tidal:budget=12,full=0,select=1+3", &observer);
  const std::string letters = "FS.S.";
  for (const SeenLayer& seen : observer.layers) {
    const char letter = letters[static_cast<std::size_t>(seen.layer)];
    EXPECT_EQ(role_letter(seen.role), letter);
    EXPECT_EQ(seen.read.has_value(), letter == '.');
    EXPECT_EQ(seen.chosen.has_value(), letter == 'S');
  }
}

}  // namespace
}  // namespace tide::testing
