#include "analysis/persistence.h"

#include <utility>

namespace tide::analysis {

PersistenceMeter::PersistenceMeter(std::vector<int> k_list, int n_layers, int max_distance)
    : intersection_(std::move(k_list)),
      max_distance_(max_distance),
      persistence_(intersection_.k_list().size(), SampleMatrix(n_layers, max_distance)) {}

void PersistenceMeter::begin_sample() {
  recent_.clear();
  for (auto& matrix : persistence_) matrix.begin_sample();
}

void PersistenceMeter::add_step(const StepSets& sets) {
  for (std::size_t back = 0; back < recent_.size(); ++back) {
    compare(recent_[back], sets, static_cast<int>(back) + 1);
  }
  if (max_distance_ < 1) return;
  if (recent_.size() == static_cast<std::size_t>(max_distance_)) recent_.pop_back();
  auto& kept = recent_.emplace_front();
  for (int layer = 0; layer < sets.n_layers(); ++layer) {
    kept.push_back(sets.sets(layer));
    kept.back().forget_ranks();
  }
}

void PersistenceMeter::compare(const std::vector<TopSets>& earlier, const StepSets& now, int distance) {
  const std::size_t n_k = k_list().size();
  std::vector<double> share(n_k);
  for (int layer = 0; layer < now.n_layers(); ++layer) {
    const TopSets& before = earlier[static_cast<std::size_t>(layer)];
    if (before.empty() || !now.has_layer(layer)) continue;
    std::vector<double> sum(n_k);
    for (int row = 0; row < now.n_rows(); ++row) {
      intersection_.shares(before, row, now.sets(layer), row, share);
      for (std::size_t n = 0; n < n_k; ++n) sum[n] += share[n];
    }
    for (std::size_t n = 0; n < n_k; ++n) persistence_[n].add(layer, distance - 1, sum[n] / now.n_rows());
  }
}

}  // namespace tide::analysis
