#include "model/quantise.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/float16.h"

namespace tide {
namespace {

struct Quantised {
  explicit Quantised(const std::vector<float>& weights)
      : values(weights.size()), scales(weights.size() / 32) {
    fits = quantise_q8_0(weights.data(), static_cast<std::int64_t>(weights.size()), values.data(),
                         scales.data());
  }
  float weight(std::size_t i) const { return half_to_float(scales[i / 32]) * values[i]; }

  std::vector<std::int8_t> values;
  std::vector<std::uint16_t> scales;
  bool fits;
};

/// A block whose scale is 1: its largest weight is 127.
std::vector<float> block_of_scale_1() {
  std::vector<float> weights(32, 0.0f);
  weights[31] = 127;
  return weights;
}

TEST(Quantise, ScaleIsTheLargestMagnitudeOver127) {
  std::vector<float> weights(64, 0.25f);
  weights[3] = -63.5f;
  weights[40] = 254;
  const Quantised q(weights);
  EXPECT_EQ(half_to_float(q.scales[0]), 0.5f);
  EXPECT_EQ(half_to_float(q.scales[1]), 2.0f);
  EXPECT_EQ(q.values[3], -127);
  EXPECT_EQ(q.values[40], 127);
}

TEST(Quantise, HalvesGoAwayFromZeroAndLessStays) {
  std::vector<float> weights = block_of_scale_1();
  const std::vector<float> x = {0.5f,        -0.5f,        1.5f,       2.5f,  -2.5f,
                                0.49999997f, -0.49999997f, 1.4999999f, 126.5f};
  std::copy(x.begin(), x.end(), weights.begin());
  const Quantised q(weights);
  const std::vector<std::int8_t> expected = {1, -1, 2, 3, -3, 0, 0, 1, 127};
  EXPECT_THAT(std::vector<std::int8_t>(q.values.begin(), q.values.begin() + 9),
              ::testing::ElementsAreArray(expected));
}

TEST(Quantise, ValuesComeOfTheScaleBeforeItsOwnRounding) {
  // 1000 / 127 is 7.874016 and 7.875 in binary16: 500 / 7.874016 is 63.5, which 7.875 would take to 63.
  std::vector<float> weights(32, 0.0f);
  weights[0] = 1000;
  weights[1] = 500.001f;
  const Quantised q(weights);
  EXPECT_EQ(half_to_float(q.scales[0]), 7.875f);
  EXPECT_EQ(q.values[1], 64);
}

TEST(Quantise, IsOffByHalfAStepAtMost) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights(32 * 100);
  for (float& weight : weights) weight = normal(random);
  const Quantised q(weights);
  ASSERT_TRUE(q.fits);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    // Half a step, and the scale's rounding to 11 bits.
    const float scale = half_to_float(q.scales[i / 32]);
    EXPECT_NEAR(q.weight(i), weights[i], scale * (0.5f + 127.0f / 2048)) << i;
  }
}

TEST(Quantise, ZerosAndNextToNothingBecomeZeros) {
  for (const float tiny : {0.0f, -0.0f, 1e-44f, 1e-38f, 1e-30f}) {
    const Quantised q(std::vector<float>(32, tiny));
    EXPECT_TRUE(q.fits);
    for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(q.weight(i), 0) << tiny;
  }
}

TEST(Quantise, TellsWhatBinary16CannotScale) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const float bad : {infinity, -infinity, nan, -nan, 9e6f, -3e38f}) {
    std::vector<float> weights(96, 1.0f);
    EXPECT_TRUE(Quantised(weights).fits);
    weights[70] = bad;
    EXPECT_FALSE(Quantised(weights).fits) << bad;
  }
  EXPECT_TRUE(Quantised(std::vector<float>(32, 8.3e6f)).fits);
}

}  // namespace
}  // namespace tide
