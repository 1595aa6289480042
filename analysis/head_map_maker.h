#pragma once
// The head map of contracts.md section 5 from full-attention maps (Kascade's head remapping, arXiv
// 2512.16391, section 4, for every pair of layers).

#include <Eigen/Core>
#include <cstddef>
#include <string>
#include <vector>

#include "analysis/step_sets.h"
#include "base/head_map.h"

namespace tide::analysis {

/// Sums, over the steps of any number of recordings, how much of each head's mass in a later layer every
/// head of an earlier layer's top-k holds, and chooses the best source head of each.
class HeadMapMaker {
 public:
  HeadMapMaker(int k, int n_layers, int n_rows);

  /// `sets` of the map's unit and exclusion; excluded positions are in no set and give no mass.
  void add_step(const StepSets& sets);

  /// Source heads and their mean mass; ties: the same head, then the smaller one. A pair of layers
  /// that was never seen together keeps the same heads, with mass NaN. The caller fills in the rest.
  HeadMap make() const;
  /// [src][dst][head]: mean mass that the same head's top-k holds; empty unless src < dst.
  std::vector<std::vector<std::vector<double>>> same_head_mass() const;
  /// Mean mass of one head of `dst` on the top-k of `src_head` of `src`.
  double mean_mass(int src, int dst, int src_head, int dst_head) const;

 private:
  std::size_t pair(int src, int dst) const {
    return static_cast<std::size_t>(src) * static_cast<std::size_t>(n_layers_) +
           static_cast<std::size_t>(dst);
  }

  int k_, n_layers_, n_rows_;
  std::vector<Eigen::MatrixXd>
      sum_;                    ///< [n_layers * n_layers] of [src head, dst head]; empty unless src < dst
  std::vector<double> steps_;  ///< [n_layers * n_layers]
};

}  // namespace tide::analysis
