#pragma once
// How many positions the top sets of several heads hold together: what one set for all of them has to hold
// (LessIsMore, arXiv 2508.07101, section 3).

#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_sets.h"

namespace tide::analysis {

/// Positions in the union of the top-k of a group's query heads, and of all heads of a layer, for a list of
/// k: means over steps (and groups).
class UnionMeter {
 public:
  /// `k_list`: ascending.
  UnionMeter(std::vector<int> k_list, int n_layers, int heads_per_group);

  void begin_sample();
  /// Sets of query heads.
  void add_step(const StepSets& sets);

  static constexpr Eigen::Index kGroup = 0, kAll = 1;
  /// [n_layers, 2]: positions in the union of a group's heads (mean over groups) and of all heads; NaN for
  /// layers without maps.
  const SampleMatrix& size(std::size_t k_index) const { return size_[k_index]; }

 private:
  /// Adds the union's size for every k to `sum`.
  void count(const TopSets& sets, int first_head, int last_head, std::vector<double>& sum);

  std::vector<int> k_list_;
  int heads_per_group_;
  std::vector<SampleMatrix> size_;       // by k
  std::vector<int> best_rank_;           // [kv_len]: of a position, over the heads of a union
  std::vector<std::int32_t> positions_;  // that any of them has
};

}  // namespace tide::analysis
