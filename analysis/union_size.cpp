#include "analysis/union_size.h"

#include <algorithm>
#include <utility>

namespace tide::analysis {

UnionMeter::UnionMeter(std::vector<int> k_list, int n_layers, int heads_per_group)
    : k_list_(std::move(k_list)),
      heads_per_group_(heads_per_group),
      size_(k_list_.size(), SampleMatrix(n_layers, 2)) {}

void UnionMeter::begin_sample() {
  for (auto& matrix : size_) matrix.begin_sample();
}

void UnionMeter::count(const TopSets& sets, int first_head, int last_head, std::vector<double>& sum) {
  best_rank_.assign(static_cast<std::size_t>(sets.kv_len()), kMaxTopK);
  positions_.clear();
  for (int head = first_head; head < last_head; ++head) {
    const auto of_head = sets.positions(head);
    for (int rank = 0; rank < static_cast<int>(of_head.size()); ++rank) {
      const std::int32_t position = of_head[static_cast<std::size_t>(rank)];
      int& best = best_rank_[static_cast<std::size_t>(position)];
      if (best == kMaxTopK) positions_.push_back(position);
      best = std::min(best, rank);
    }
  }
  for (std::size_t n = 0; n < k_list_.size(); ++n) {
    sum[n] +=
        static_cast<double>(std::count_if(positions_.begin(), positions_.end(), [&](std::int32_t position) {
          return best_rank_[static_cast<std::size_t>(position)] < k_list_[n];
        }));
  }
}

void UnionMeter::add_step(const StepSets& sets) {
  const int n_groups = sets.n_rows() / heads_per_group_;
  std::vector<double> group(k_list_.size()), all(k_list_.size());
  for (int layer = 0; layer < sets.n_layers(); ++layer) {
    if (!sets.has_layer(layer)) continue;
    std::fill(group.begin(), group.end(), 0.0);
    std::fill(all.begin(), all.end(), 0.0);
    for (int g = 0; g < n_groups; ++g)
      count(sets.sets(layer), g * heads_per_group_, (g + 1) * heads_per_group_, group);
    count(sets.sets(layer), 0, sets.n_rows(), all);
    for (std::size_t n = 0; n < k_list_.size(); ++n) {
      size_[n].add(layer, kGroup, group[n] / n_groups);
      size_[n].add(layer, kAll, all[n]);
    }
  }
}

}  // namespace tide::analysis
