#pragma once
// How good the recorded sets were: recall and mass of what each layer chose or read against the top-k
// of full attention for the same query (contracts.md section 6).

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_maps.h"
#include "analysis/top_sets.h"

namespace tide::analysis {

/// Means over steps and query heads, by layer, of all recordings of one policy.
class SetRecallMeter {
 public:
  SetRecallMeter(std::string policy, std::string placement, std::vector<int> k_list, int n_layers,
                 Exclusion excluded, bool exclude_forced);

  /// One recording is one sample. Layers without sets or without full-attention maps are left out.
  void add_recording(const MapSource& source);

  const std::string& policy() const { return policy_; }
  const std::string& placement() const { return placement_; }
  const std::vector<int>& k_list() const { return k_list_; }
  int n_samples() const { return values_.n_samples(); }
  bool has_layer(int layer) const;

  /// Columns of `values()`: recall by k of the list, then these.
  Eigen::Index recall_at_own_size() const { return static_cast<Eigen::Index>(k_list_.size()); }
  Eigen::Index mass() const { return recall_at_own_size() + 1; }  ///< probability on the set
  Eigen::Index size() const { return recall_at_own_size() + 2; }  ///< positions in the set
  const SampleMatrix& values() const { return values_; }          ///< [n_layers, columns]

 private:
  void add_layer(const MapSource& source, int layer, const SelectedPositions& selected);
  void add_step(int layer, const SelectedPositions& selected, std::int64_t step,
                const std::vector<float>& prob, std::int64_t kv_len);
  std::vector<std::int32_t> set_of(const SelectedPositions& selected, std::int64_t step, int set,
                                   std::int64_t kv_len) const;

  std::string policy_, placement_;
  std::vector<int> k_list_;
  Exclusion excluded_;
  bool exclude_forced_;
  SampleMatrix values_;
};

}  // namespace tide::analysis
