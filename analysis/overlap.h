#pragma once
// overlap_k(i, j): how much of two layers' top-k is the same (contracts.md section 6).

#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_sets.h"

namespace tide::analysis {

/// Overlap and Jaccard of every pair of layers for a list of k: means over steps and rows.
class OverlapMeter {
 public:
  OverlapMeter(std::vector<int> k_list, int n_layers);

  void begin_sample();
  void add_step(const StepSets& sets);

  const std::vector<int>& k_list() const { return intersection_.k_list(); }
  /// [n_layers, n_layers], symmetric; NaN for layers without maps.
  const SampleMatrix& overlap(std::size_t k_index) const { return overlap_[k_index]; }
  const SampleMatrix& jaccard(std::size_t k_index) const { return jaccard_[k_index]; }

 private:
  Intersection intersection_;
  std::vector<SampleMatrix> overlap_, jaccard_;  ///< by k
};

}  // namespace tide::analysis
