#include "decode/sampler.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <limits>

#include "decode/decoder.h"
#include "tests/support/expect_error.h"

namespace tide {
namespace {

constexpr std::array<float, 5> kLogits = {0.0f, 2.0f, 1.0f, 2.0f, -1.0f};

std::array<double, 5> frequencies(const SamplingOptions& options, int draws) {
  Sampler sampler(options, 3);
  std::array<double, 5> share{};
  for (int i = 0; i < draws; ++i) share[static_cast<std::size_t>(sampler.next(kLogits))] += 1.0 / draws;
  return share;
}

TEST(Sampler, IsGreedyByDefaultAndTakesTheSmallerIdInTies) {
  Sampler sampler({}, 1);
  EXPECT_EQ(sampler.next(kLogits), 1);
  EXPECT_EQ(argmax(kLogits), 1);
}

TEST(Sampler, DrawsFromTheSoftmaxAtItsTemperature) {
  const double temperature = 0.8;
  const auto share = frequencies({.temperature = temperature}, 40000);
  double total = 0;
  for (const float logit : kLogits) total += std::exp(logit / temperature);
  for (std::size_t i = 0; i < kLogits.size(); ++i) {
    EXPECT_NEAR(share[i], std::exp(kLogits[i] / temperature) / total, 0.01) << "token " << i;
  }
}

TEST(Sampler, TopKKeepsThatMany) {
  const auto share = frequencies({.temperature = 1, .top_k = 2}, 4000);
  EXPECT_EQ(share[0] + share[2] + share[4], 0);
  EXPECT_NEAR(share[1], 0.5, 0.05);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  // Two tokens of equal weight hold 0.75 of the whole: a share of 0.7 needs both, and no third.
  const auto share = frequencies({.temperature = 1, .top_p = 0.7}, 4000);
  EXPECT_EQ(share[0] + share[2] + share[4], 0);
  EXPECT_NEAR(share[3], 0.5, 0.05);
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 1e-6}, 100)[1], 1.0 * frequencies({}, 100)[1]);
}

TEST(Sampler, RepeatsWithItsSeed) {
  const auto draw = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 1.5}, seed);
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.next(kLogits));
    return ids;
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_NE(draw(5), draw(6));
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto refused = [](const SamplingOptions& options, const char* part) {
    testing::expect_input_error([&] { Sampler(options, 1); }, part);
  };
  refused({.temperature = -0.1}, "temperature: -0.1");
  refused({.temperature = std::numeric_limits<double>::quiet_NaN()}, "temperature");
  refused({.top_p = 0}, "top-p: 0");
  refused({.top_p = 1.1}, "top-p: 1.1");
  refused({.top_k = -1}, "top-k: -1");
}

}  // namespace
}  // namespace tide
