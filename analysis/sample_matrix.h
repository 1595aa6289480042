#pragma once
// A matrix of means over steps, kept by sample so that intervals can be drawn by sample.

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "analysis/statistics.h"

namespace tide::analysis {

/// Means of values that arrive cell by cell: over all steps of all samples, and of each sample alone.
/// A cell that nothing arrived for is NaN.
class SampleMatrix {
 public:
  SampleMatrix() = default;
  SampleMatrix(Eigen::Index rows, Eigen::Index columns) : rows_(rows), columns_(columns) {}

  /// What arrives from here on belongs to the next sample.
  void begin_sample();
  /// NaN values are left out of the mean.
  void add(Eigen::Index row, Eigen::Index column, double value);

  Eigen::Index rows() const { return rows_; }
  Eigen::Index columns() const { return columns_; }
  int n_samples() const { return static_cast<int>(sum_.size()); }
  /// Over all values of all samples.
  Eigen::MatrixXd mean() const;
  Eigen::MatrixXd sample_mean(int sample) const;
  /// One cell of every sample, [n_samples].
  std::vector<double> cell(Eigen::Index row, Eigen::Index column) const;
  Interval interval(const Bootstrap& bootstrap, Eigen::Index row, Eigen::Index column) const;

 private:
  Eigen::Index rows_ = 0, columns_ = 0;
  std::vector<Eigen::MatrixXd> sum_, count_;  ///< by sample
};

}  // namespace tide::analysis
