#pragma once
// Uncertainty of what is reported: contracts.md section 6 says which interval belongs to which figure.

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

namespace tide::analysis {

/// An interval; NaN at both ends when there is nothing to estimate it from.
struct Interval {
  double low;
  double high;
};

/// Wilson score interval of a proportion of yes/no samples (Wilson 1927), 95 % by default.
/// No trials: [0, 1]. Throws InputError unless 0 <= successes <= trials.
Interval wilson_interval(std::int64_t successes, std::int64_t trials, double z = 1.959963984540054);

/// Exact two-sided McNemar test of paired yes/no samples: `only_first` succeeded under the first
/// configuration alone, `only_second` under the second alone. Returns the p-value; 1 without disagreement.
double mcnemar_exact(std::int64_t only_first, std::int64_t only_second);

/// The q-quantile, 0 <= q <= 1, with linear interpolation between order statistics (NumPy's default);
/// NaN values are left out; NaN when none remains.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);

/// 95 % percentile bootstrap of a weighted mean, by sample: whole samples are drawn with replacement
/// (2000 times, seeded), so that steps of one sample never count as independent. The draws are made
/// once and serve any number of quantities measured on the same samples.
class Bootstrap {
 public:
  /// `weight`: one a sample, e.g. its steps. Throws InputError when a weight is not positive.
  explicit Bootstrap(std::vector<double> weight, std::uint64_t seed = 0, int resamples = 2000);

  /// Interval of the weighted mean of `value` [n_samples]. Samples with NaN are left out of a draw;
  /// fewer than two finite samples: NaN at both ends.
  Interval interval(std::span<const double> value) const;
  std::size_t n_samples() const { return weight_.size(); }

 private:
  std::vector<double> weight_;
  Eigen::MatrixXd drawn_weight_;  ///< [resamples, n_samples]: times drawn * weight
};

/// Bootstrap of an unweighted mean.
Interval bootstrap_interval(std::span<const double> value, std::uint64_t seed = 0, int resamples = 2000);

}  // namespace tide::analysis
