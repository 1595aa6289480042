// Frequencies of the rotary scalings against their formulas in double; tests/oracle has transformers' own.

#include "decode/rope_angles.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using Kind = RopeScaling::Kind;

ModelConfig scaled(Kind kind, double factor, double original = 128) {
  ModelConfig config = tiny_config();
  config.head_dim = 64;
  config.rope_scaling.kind = kind;
  config.rope_scaling.factor = factor;
  config.rope_scaling.original_positions = original;
  return config;
}

double plain(std::size_t pair) { return std::pow(10000.0, -2.0 * static_cast<double>(pair) / 64); }

void expect_frequencies(const ModelConfig& config, const std::function<double(std::size_t)>& expected) {
  const std::vector<float> frequencies = rotary_frequencies(config);
  ASSERT_EQ(frequencies.size(), 32u);
  for (std::size_t pair = 0; pair < 32; ++pair) {
    EXPECT_NEAR(frequencies[pair], expected(pair), 1e-6 * expected(pair)) << "pair " << pair;
  }
}

TEST(RopeAngles, WithoutScalingAreThePaper) {
  expect_frequencies(scaled(Kind::none, 1), plain);
  std::vector<float> cosine(32), sine(32);
  RopeAngles(scaled(Kind::none, 1)).at(100, cosine.data(), sine.data());
  EXPECT_NEAR(cosine[3], std::cos(100 * plain(3)), 1e-5);
  EXPECT_NEAR(sine[3], std::sin(100 * plain(3)), 1e-5);
}

TEST(RopeAngles, LinearAreDividedByTheFactor) {
  expect_frequencies(scaled(Kind::linear, 4), [](std::size_t pair) { return plain(pair) / 4; });
}

TEST(RopeAngles, Llama3KeepShortTurnsAndStretchLongOnes) {
  expect_frequencies(scaled(Kind::llama3, 8), [](std::size_t pair) {
    const double turn = 2 * std::numbers::pi / plain(pair);
    if (turn > 128) return plain(pair) / 8;
    if (turn < 32) return plain(pair);
    const double share = (128 / turn - 1) / 3;
    return (1 - share) * plain(pair) / 8 + share * plain(pair);
  });
}

TEST(RopeAngles, YarnKeepFastTurnsAndStretchSlowOnes) {
  // Over 4096 positions 32 turns are made at dimension 10.47 and one at 22.51: bounds 10 and 23.
  expect_frequencies(scaled(Kind::yarn, 4, 4096), [](std::size_t pair) {
    const double share = std::clamp((static_cast<double>(pair) - 10) / 13, 0.0, 1.0);
    return plain(pair) * (1 - share) + plain(pair) / 4 * share;
  });
}

TEST(RopeAngles, AreDividedByTheCheckpointsDivisors) {
  ModelConfig config = scaled(Kind::none, 1);
  for (int pair = 0; pair < 32; ++pair)
    config.rope_scaling.divisors.push_back(1.0f + 0.25f * static_cast<float>(pair));
  expect_frequencies(config,
                     [](std::size_t pair) { return plain(pair) / (1 + 0.25 * static_cast<double>(pair)); });
}

TEST(RopeAngles, AreScaledByTheAttentionFactor) {
  ModelConfig config = scaled(Kind::none, 1);
  config.rope_scaling.attention_factor = 1.25;
  std::vector<float> cosine(32), sine(32);
  RopeAngles(config).at(7, cosine.data(), sine.data());
  for (std::size_t pair = 0; pair < 32; ++pair) EXPECT_NEAR(std::hypot(cosine[pair], sine[pair]), 1.25, 1e-6);
}

}  // namespace
}  // namespace tide::testing
