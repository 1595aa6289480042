#include "analysis/recall.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tide::analysis {

void prefix_mass(const double* prob, std::span<const std::int32_t> positions, const std::vector<int>& k_list,
                 std::span<double> mass) {
  double sum = 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i < k_list.size(); ++i) {
    const std::size_t end = std::min(static_cast<std::size_t>(k_list[i]), positions.size());
    for (; done < end; ++done) sum += prob[positions[done]];
    mass[i] = sum;
  }
}

RecallMeter::RecallMeter(std::vector<int> k_list, int n_layers, int n_rows, HeadMap map)
    : intersection_(std::move(k_list)), map_(std::move(map)) {
  if (map_.n_layers != n_layers || map_.n_heads != n_rows) {
    fail_input("head map of {} layers and {} heads: expected {} layers and {} heads", map_.n_layers,
               map_.n_heads, n_layers, n_rows);
  }
  for (auto* matrices : {&recall_[0], &recall_[1], &mass_[0], &mass_[1]}) {
    matrices->assign(intersection_.k_list().size(), SampleMatrix(n_layers, n_layers));
  }
}

void RecallMeter::begin_sample() {
  for (auto* matrices : {&recall_[0], &recall_[1], &mass_[0], &mass_[1]}) {
    for (auto& matrix : *matrices) matrix.begin_sample();
  }
}

void RecallMeter::add_step(const StepSets& sets) {
  for (int src = 0; src < sets.n_layers(); ++src) {
    for (int dst = src + 1; dst < sets.n_layers(); ++dst) {
      if (!sets.has_layer(src) || !sets.has_layer(dst)) continue;
      add_pair(sets, src, dst, false);
      add_pair(sets, src, dst, true);
    }
  }
}

void RecallMeter::add_pair(const StepSets& sets, int src, int dst, bool mapped) {
  const std::size_t n_k = k_list().size();
  std::vector<double> share(n_k), mass(n_k), recall_sum(n_k), mass_sum(n_k);
  const auto& source_of = map_.source_head[static_cast<std::size_t>(src)][static_cast<std::size_t>(dst)];
  for (int row = 0; row < sets.n_rows(); ++row) {
    const int source = mapped ? source_of[static_cast<std::size_t>(row)] : row;
    intersection_.shares(sets.sets(src), source, sets.sets(dst), row, share);
    prefix_mass(sets.prob(dst, row), sets.sets(src).positions(source), k_list(), mass);
    for (std::size_t n = 0; n < n_k; ++n) {
      recall_sum[n] += share[n];
      mass_sum[n] += mass[n];
    }
  }
  for (std::size_t n = 0; n < n_k; ++n) {
    recall_[mapped][n].add(src, dst, recall_sum[n] / sets.n_rows());
    mass_[mapped][n].add(src, dst, mass_sum[n] / sets.n_rows());
  }
}

}  // namespace tide::analysis
