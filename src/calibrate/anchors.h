#pragma once
// Which layers to choose at (Kascade, arXiv 2512.16391, section 3.3): pure arithmetic.

#include <vector>

namespace tide {

/// A placement of anchors and what it is worth.
struct Anchors {
  std::vector<int> layers;  ///< ascending, the first is 0
  double value = 0;         ///< sum over layers j of worth[anchor(j)][j]
};

/// The `count` anchors, the first of them layer 0, for which the sum over layers j of worth[anchor(j)][j] is
/// largest; anchor(j) is the last anchor that is not after j. worth: [n_layers][n_layers], of which source <=
/// reader is looked at. 1 <= count <= n_layers. By dynamic programming, exact; of equal placements the one
/// whose last anchors come first.
Anchors best_anchors(const std::vector<std::vector<double>>& worth, int count);

/// The same, by adding to layer 0 the layer that gains most, one by one (of equal ones the first): what a
/// search that never takes a layer back finds.
Anchors greedy_anchors(const std::vector<std::vector<double>>& worth, int count);

/// What a placement is worth: its layers ascending, the first of them 0.
double worth_of(const std::vector<std::vector<double>>& worth, const std::vector<int>& layers);

}  // namespace tide
