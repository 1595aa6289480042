#include "analysis/overlap.h"

#include <algorithm>
#include <utility>

namespace tide::analysis {

OverlapMeter::OverlapMeter(std::vector<int> k_list, int n_layers)
    : intersection_(std::move(k_list)),
      overlap_(intersection_.k_list().size(), SampleMatrix(n_layers, n_layers)),
      jaccard_(overlap_) {}

void OverlapMeter::begin_sample() {
  for (auto& matrix : overlap_) matrix.begin_sample();
  for (auto& matrix : jaccard_) matrix.begin_sample();
}

void OverlapMeter::add_step(const StepSets& sets) {
  const std::size_t n_k = k_list().size();
  std::vector<double> share(n_k), overlap(n_k), jaccard(n_k);
  for (int i = 0; i < sets.n_layers(); ++i) {
    for (int j = i; j < sets.n_layers(); ++j) {
      if (!sets.has_layer(i) || !sets.has_layer(j)) continue;
      std::fill(overlap.begin(), overlap.end(), 0.0);
      std::fill(jaccard.begin(), jaccard.end(), 0.0);
      for (int row = 0; row < sets.n_rows(); ++row) {
        intersection_.shares(sets.sets(i), row, sets.sets(j), row, share);
        for (std::size_t n = 0; n < n_k; ++n) {
          overlap[n] += share[n];
          // Two sets of k' with c in common: c / (2 k' - c).
          jaccard[n] += share[n] / (2 - share[n]);
        }
      }
      for (std::size_t n = 0; n < n_k; ++n) {
        overlap_[n].add(i, j, overlap[n] / sets.n_rows());
        jaccard_[n].add(i, j, jaccard[n] / sets.n_rows());
        if (i == j) continue;
        overlap_[n].add(j, i, overlap[n] / sets.n_rows());
        jaccard_[n].add(j, i, jaccard[n] / sets.n_rows());
      }
    }
  }
}

}  // namespace tide::analysis
