#pragma once
// Top sets of all layers at one step, per query head, per group (probabilities summed over the group's
// query heads) or one for all heads of a layer.

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/step_maps.h"
#include "analysis/top_sets.h"

namespace tide::analysis {

/// Whose probabilities are one row: a query head's, a KV head's group summed, all heads summed.
enum class Sharing { head, group, layer };

/// Query heads that one row sums over.
int heads_per_row(Sharing sharing, int n_heads, int n_kv_heads);
/// The sharing of a head map's unit: "query_head" or "kv_head". Throws InputError.
Sharing sharing_of_unit(const std::string& unit);

/// Rows of every layer at one step. Layers without maps are empty.
class StepSets {
 public:
  /// `width`: the largest k asked for.
  StepSets(Sharing sharing, int n_heads, int n_kv_heads, int width, Exclusion excluded);
  void build(const StepMaps& maps);

  Sharing sharing() const { return sharing_; }
  int n_layers() const { return static_cast<int>(sets_.size()); }
  int n_rows() const { return n_heads_ / heads_per_row_; }
  std::int64_t kv_len() const { return kv_len_; }
  bool has_layer(int layer) const { return !sets_[static_cast<std::size_t>(layer)].empty(); }
  const TopSets& sets(int layer) const { return sets_[static_cast<std::size_t>(layer)]; }
  /// Probability of a row, mean over the heads it sums, by position: [kv_len].
  const double* prob(int layer, int row) const {
    return prob_[static_cast<std::size_t>(layer)].data() + row * kv_len_;
  }

 private:
  Sharing sharing_;
  int n_heads_, heads_per_row_, width_;
  Exclusion excluded_;
  std::int64_t kv_len_ = 0;
  std::vector<TopSets> sets_;              ///< [n_layers]
  std::vector<std::vector<double>> prob_;  ///< [n_layers] of [n_rows, kv_len]
};

}  // namespace tide::analysis
