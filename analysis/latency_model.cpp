#include "analysis/latency_model.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tide::analysis {
namespace {

using Terms = std::array<double, LatencyModel::kTerms>;

Terms terms_of(const std::string& placement, double kv_len, double budget) {
  double full = 0, select = 0, sparse = 0;
  for (const char letter : placement) {
    if (letter != 'F' && letter != 'S' && letter != 'E' && letter != '.')
      fail_input("latency model: placement {} has the letter {}, expected F, S, E and .", placement, letter);
    full += letter == 'F' ? 1 : 0;
    select += letter == 'S' || letter == 'E' ? 1 : 0;
    sparse += letter == '.' ? 1 : 0;
  }
  const double kv = kv_len / 1000, read = std::min(budget, kv_len) / 1000;
  return {1, full * kv, select, select * kv, select * read, sparse, sparse * read};
}

}  // namespace

LatencyModel LatencyModel::fit(std::span<const LatencySample> samples) {
  if (samples.size() < kTerms)
    fail_input("latency model: {} measurements, expected at least {}", samples.size(), kTerms);
  Eigen::MatrixXd design(std::ssize(samples), static_cast<Eigen::Index>(kTerms));
  Eigen::VectorXd ones = Eigen::VectorXd::Ones(std::ssize(samples));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const LatencySample& sample = samples[i];
    if (!(sample.ms > 0))
      fail_input("latency model: {} at {} positions takes {} ms, expected more than 0", sample.placement,
                 sample.kv_len, sample.ms);
    const Terms terms = terms_of(sample.placement, sample.kv_len, sample.budget);
    for (std::size_t term = 0; term < kTerms; ++term)
      design(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(term)) = terms[term] / sample.ms;
  }
  // Terms that the measurements do not tell apart get the smallest weights that explain them.
  const Eigen::VectorXd solved = design.completeOrthogonalDecomposition().solve(ones);
  LatencyModel model;
  for (std::size_t term = 0; term < kTerms; ++term)
    model.weights_[term] = solved(static_cast<Eigen::Index>(term));
  return model;
}

double LatencyModel::predict_ms(const std::string& placement, double kv_len, double budget) const {
  const Terms terms = terms_of(placement, kv_len, budget);
  double ms = 0;
  for (std::size_t term = 0; term < kTerms; ++term) ms += weights_[term] * terms[term];
  return ms;
}

LatencyModel::Errors LatencyModel::errors_on(std::span<const LatencySample> samples) const {
  Errors errors;
  for (const LatencySample& sample : samples) {
    const double error =
        std::fabs(predict_ms(sample.placement, sample.kv_len, sample.budget) - sample.ms) / sample.ms;
    errors.mean += error / static_cast<double>(samples.size());
    errors.largest = std::max(errors.largest, error);
  }
  return errors;
}

}  // namespace tide::analysis
