#include "analysis/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Wilson, AgreesWithPublishedValues) {
  // Newcombe 1998, table I: 81 of 263 and 15 of 148, both 95 %, without continuity correction.
  const Interval large = wilson_interval(81, 263), small = wilson_interval(15, 148);
  EXPECT_NEAR(large.low, 0.2553, 5e-5);
  EXPECT_NEAR(large.high, 0.3662, 5e-5);
  EXPECT_NEAR(small.low, 0.0624, 5e-5);
  EXPECT_NEAR(small.high, 0.1605, 5e-5);
}

TEST(Wilson, StaysInsideZeroAndOne) {
  EXPECT_EQ(wilson_interval(0, 20).low, 0.0);
  EXPECT_NEAR(wilson_interval(0, 20).high, 0.1611, 5e-5);
  EXPECT_EQ(wilson_interval(20, 20).high, 1.0);
  EXPECT_LT(wilson_interval(20, 20).low, 1.0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1.0);
  EXPECT_THROW(wilson_interval(3, 2), InputError);
}

TEST(McNemar, CountsBothTailsOfTheBinomial) {
  EXPECT_NEAR(mcnemar_exact(1, 5), 2 * (1.0 + 6.0) / 64.0, 1e-12);
  EXPECT_NEAR(mcnemar_exact(0, 8), 2.0 / 256.0, 1e-12);
  EXPECT_EQ(mcnemar_exact(3, 3), 1.0);
  EXPECT_EQ(mcnemar_exact(0, 0), 1.0);
}

TEST(Quantile, InterpolatesAndLeavesNanOut) {
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({7, kNan, 1, 4}), 4.0);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40}, 0.25), 17.5);
  EXPECT_EQ(quantile({10, 20}, 1.0), 20.0);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(BootstrapMean, IsNarrowForEqualSamplesAndCoversTheirSpread) {
  const std::vector<double> equal(12, 0.25);
  EXPECT_DOUBLE_EQ(bootstrap_interval(equal).low, 0.25);
  EXPECT_DOUBLE_EQ(bootstrap_interval(equal).high, 0.25);
  std::vector<double> coin(100, 0.0);
  for (std::size_t i = 0; i < 50; ++i) coin[i] = 1.0;
  const Interval interval = bootstrap_interval(coin);  // normal theory: 0.5 -+ 1.96 * 0.05
  EXPECT_NEAR(interval.low, 0.402, 0.015);
  EXPECT_NEAR(interval.high, 0.598, 0.015);
}

TEST(BootstrapMean, RepeatsForOneSeed) {
  const std::vector<double> value = {0.1, 0.5, 0.7, 0.2, 0.9};
  EXPECT_EQ(bootstrap_interval(value, 3).low, bootstrap_interval(value, 3).low);
  EXPECT_NE(bootstrap_interval(value, 3).low, bootstrap_interval(value, 4).low);
}

TEST(BootstrapMean, WeighsSamplesByTheirSteps) {
  const Bootstrap heavy({99.0, 1.0}, 0);
  const Interval interval = heavy.interval(std::vector<double>{1.0, 0.0});
  EXPECT_EQ(interval.low, 0.0);   // both draws the light sample
  EXPECT_EQ(interval.high, 1.0);  // both draws the heavy one
  const Bootstrap mostly({99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 1.0}, 0);
  EXPECT_GT(mostly.interval(std::vector<double>{1, 1, 1, 1, 1, 1, 1, 0}).low, 0.97);
}

TEST(BootstrapMean, SaysNothingOfOneSample) {
  EXPECT_TRUE(std::isnan(bootstrap_interval(std::vector<double>{0.5}).low));
  EXPECT_TRUE(std::isnan(bootstrap_interval(std::vector<double>{0.5, kNan}).high));
  EXPECT_THROW(Bootstrap({1.0, 0.0}), InputError);
}

}  // namespace
}  // namespace tide::analysis
