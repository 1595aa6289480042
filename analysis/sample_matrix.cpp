#include "analysis/sample_matrix.h"

#include <cmath>
#include <limits>

namespace tide::analysis {
namespace {

/// 0 / 0 gives a NaN whose sign shows in print.
double ratio(double sum, double count) {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / count;
}

}  // namespace

void SampleMatrix::begin_sample() {
  sum_.push_back(Eigen::MatrixXd::Zero(rows_, columns_));
  count_.push_back(Eigen::MatrixXd::Zero(rows_, columns_));
}

void SampleMatrix::add(Eigen::Index row, Eigen::Index column, double value) {
  if (std::isnan(value)) return;
  sum_.back()(row, column) += value;
  count_.back()(row, column) += 1;
}

Eigen::MatrixXd SampleMatrix::mean() const {
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(rows_, columns_), count = sum;
  for (std::size_t s = 0; s < sum_.size(); ++s) {
    sum += sum_[s];
    count += count_[s];
  }
  return sum.binaryExpr(count, &ratio);
}

Eigen::MatrixXd SampleMatrix::sample_mean(int sample) const {
  const auto s = static_cast<std::size_t>(sample);
  return sum_[s].binaryExpr(count_[s], &ratio);
}

std::vector<double> SampleMatrix::cell(Eigen::Index row, Eigen::Index column) const {
  std::vector<double> values(sum_.size());
  for (std::size_t s = 0; s < sum_.size(); ++s)
    values[s] = ratio(sum_[s](row, column), count_[s](row, column));
  return values;
}

Interval SampleMatrix::interval(const Bootstrap& bootstrap, Eigen::Index row, Eigen::Index column) const {
  return bootstrap.interval(cell(row, column));
}

}  // namespace tide::analysis
