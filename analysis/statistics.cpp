#include "analysis/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// SplitMix64: the same draws on every platform, which std::uniform_int_distribution does not promise.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t n) {
    std::uint64_t x = (state_ += 0x9e3779b97f4a7c15ull);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    x ^= x >> 31;
    return static_cast<std::size_t>(x % n);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

Interval wilson_interval(std::int64_t successes, std::int64_t trials, double z) {
  if (trials < 0 || successes < 0 || successes > trials) {
    fail_input("interval of {} successes in {} trials: expected 0 <= successes <= trials", successes, trials);
  }
  if (trials == 0) return {0.0, 1.0};
  const double n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double centre = p + z * z / (2 * n);
  const double half_width = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  // At the ends the formula gives exactly 0 or 1 in real numbers; rounding must not leave the range.
  return {successes == 0 ? 0.0 : std::max(0.0, (centre - half_width) / scale),
          successes == trials ? 1.0 : std::min(1.0, (centre + half_width) / scale)};
}

double mcnemar_exact(std::int64_t only_first, std::int64_t only_second) {
  if (only_first < 0 || only_second < 0) {
    fail_input("McNemar's test of {} and {} discordant pairs: expected counts", only_first, only_second);
  }
  const std::int64_t n = only_first + only_second;
  if (n == 0) return 1.0;
  double tail = 0;
  for (std::int64_t i = 0; i <= std::min(only_first, only_second); ++i) {
    const double log_choose = std::lgamma(static_cast<double>(n) + 1) -
                              std::lgamma(static_cast<double>(i) + 1) -
                              std::lgamma(static_cast<double>(n - i) + 1);
    tail += std::exp(log_choose - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

double quantile(std::vector<double> values, double q) {
  if (!(q >= 0 && q <= 1)) fail_input("quantile {}: expected a number in [0, 1]", q);
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return kNan;
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(place);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[static_cast<std::size_t>(below)];
  if (static_cast<std::size_t>(below) + 1 == values.size()) return low;
  const double high = *std::min_element(values.begin() + below + 1, values.end());
  return low + (high - low) * (place - static_cast<double>(below));
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

Bootstrap::Bootstrap(std::vector<double> weight, std::uint64_t seed, int resamples)
    : weight_(std::move(weight)) {
  const auto n = static_cast<Eigen::Index>(weight_.size());
  for (double w : weight_) {
    if (!(w > 0)) fail_input("bootstrap with a sample's weight {}: expected a positive number", w);
  }
  drawn_weight_ = Eigen::MatrixXd::Zero(resamples, n);
  Draws draws(seed);
  for (Eigen::Index r = 0; r < resamples; ++r) {
    for (Eigen::Index i = 0; i < n; ++i) {
      const std::size_t s = draws.below(weight_.size());
      drawn_weight_(r, static_cast<Eigen::Index>(s)) += weight_[s];
    }
  }
}

Interval Bootstrap::interval(std::span<const double> value) const {
  if (value.size() != weight_.size()) {
    fail_input("bootstrap of {} values: expected {}, one a sample", value.size(), weight_.size());
  }
  const auto n = static_cast<Eigen::Index>(value.size());
  Eigen::VectorXd finite(n), zeroed(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double v = value[static_cast<std::size_t>(i)];
    finite(i) = std::isnan(v) ? 0.0 : 1.0;
    zeroed(i) = std::isnan(v) ? 0.0 : v;
  }
  // One sample says nothing of the spread between samples: [v, v] would look like certainty.
  if (finite.sum() < 2) return {kNan, kNan};
  const Eigen::VectorXd sum = drawn_weight_ * zeroed;
  const Eigen::VectorXd weight = drawn_weight_ * finite;
  std::vector<double> mean(static_cast<std::size_t>(sum.size()));
  for (Eigen::Index r = 0; r < sum.size(); ++r) {
    mean[static_cast<std::size_t>(r)] = weight(r) > 0 ? sum(r) / weight(r) : kNan;
  }
  return {quantile(mean, 0.025), quantile(std::move(mean), 0.975)};
}

Interval bootstrap_interval(std::span<const double> value, std::uint64_t seed, int resamples) {
  return Bootstrap(std::vector<double>(value.size(), 1.0), seed, resamples).interval(value);
}

}  // namespace tide::analysis
