#pragma once
// What a decode step of a placement takes on the machine that it was measured on.

#include <array>
#include <span>
#include <string>

namespace tide::analysis {

/// One measurement at batch 1.
struct LatencySample {
  std::string placement;  ///< letters F, S, E and .; an E looks at every key as an S does
  double kv_len = 0;      ///< positions in use
  double budget = 0;      ///< positions a sparse layer reads
  double ms = 0;          ///< median of its steps
};

/// A step's time as a sum over layers: a full layer's grows with kv_len; a selection layer's with kv_len, and
/// with the budget that it chooses; a sparse one's with the budget.
class LatencyModel {
 public:
  /// Least squares of the relative error. Throws InputError: fewer samples than terms, a time that is not
  /// above 0, a letter that is none of a reusing method's.
  static LatencyModel fit(std::span<const LatencySample> samples);

  double predict_ms(const std::string& placement, double kv_len, double budget) const;
  /// |predicted - measured| / measured, mean and largest.
  struct Errors {
    double mean = 0, largest = 0;
  };
  Errors errors_on(std::span<const LatencySample> samples) const;

  /// 1; full layers, times kv_len; selection layers, times kv_len, times budget; sparse layers, times budget.
  static constexpr std::size_t kTerms = 7;
  const std::array<double, kTerms>& weights() const { return weights_; }  ///< ms, positions in thousands

 private:
  std::array<double, kTerms> weights_{};
};

}  // namespace tide::analysis
