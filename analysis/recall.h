#pragma once
// recall_k(i -> j) and mass_k(i -> j): what a later layer would find in an earlier layer's top-k, with
// its own head's set or with a mapped head's (contracts.md section 6; TidalDecode, arXiv 2410.05076,
// section 3; head remapping: Kascade, arXiv 2512.16391, section 4).

#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_sets.h"
#include "base/head_map.h"

namespace tide::analysis {

/// Recall and mass from every layer to every later one, for a list of k: means over steps and heads.
class RecallMeter {
 public:
  /// `map`: head map of the sets' unit. Throws InputError when its layers or heads are not `n_layers`
  /// and `n_rows`.
  RecallMeter(std::vector<int> k_list, int n_layers, int n_rows, HeadMap map);

  void begin_sample();
  void add_step(const StepSets& sets);

  const std::vector<int>& k_list() const { return intersection_.k_list(); }
  /// [n_layers, n_layers], row = source i, column = j > i; NaN elsewhere and for layers without maps.
  const SampleMatrix& recall(std::size_t k_index, bool mapped) const { return recall_[mapped][k_index]; }
  const SampleMatrix& mass(std::size_t k_index, bool mapped) const { return mass_[mapped][k_index]; }

 private:
  void add_pair(const StepSets& sets, int src, int dst, bool mapped);

  Intersection intersection_;
  HeadMap map_;
  std::vector<SampleMatrix> recall_[2], mass_[2];  ///< [mapped][k]
};

/// mass[i] = sum of prob over the first min(k_list[i], length) of `positions`.
void prefix_mass(const double* prob, std::span<const std::int32_t> positions, const std::vector<int>& k_list,
                 std::span<double> mass);

}  // namespace tide::analysis
