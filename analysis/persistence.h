#pragma once
// persistence_k(d): how much of a layer's top-k at one step is there d steps later (contracts.md section 6).

#include <deque>
#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_sets.h"

namespace tide::analysis {

/// Persistence of every layer for a list of k and distances of 1 to `max_distance` steps: means over
/// pairs of steps and rows. Holds the lists of the last `max_distance` steps.
class PersistenceMeter {
 public:
  PersistenceMeter(std::vector<int> k_list, int n_layers, int max_distance);

  void begin_sample();
  /// Steps come in order.
  void add_step(const StepSets& sets);

  const std::vector<int>& k_list() const { return intersection_.k_list(); }
  int max_distance() const { return max_distance_; }
  /// [n_layers, max_distance]: column d - 1 is distance d; NaN where no two steps lie so far apart.
  const SampleMatrix& persistence(std::size_t k_index) const { return persistence_[k_index]; }

 private:
  void compare(const std::vector<TopSets>& earlier, const StepSets& now, int distance);

  Intersection intersection_;
  int max_distance_;
  std::deque<std::vector<TopSets>> recent_;  ///< by step, latest first: [n_layers]
  std::vector<SampleMatrix> persistence_;
};

}  // namespace tide::analysis
