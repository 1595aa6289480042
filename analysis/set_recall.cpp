#include "analysis/set_recall.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"

namespace tide::analysis {

SetRecallMeter::SetRecallMeter(std::string policy, std::string placement, std::vector<int> k_list,
                               int n_layers, Exclusion excluded, bool exclude_forced)
    : policy_(std::move(policy)),
      placement_(std::move(placement)),
      k_list_(std::move(k_list)),
      excluded_(excluded),
      exclude_forced_(exclude_forced),
      values_(n_layers, static_cast<Eigen::Index>(k_list_.size()) + 3) {}

bool SetRecallMeter::has_layer(int layer) const {
  const auto sizes = values_.cell(layer, size());
  return std::any_of(sizes.begin(), sizes.end(), [](double size) { return !std::isnan(size); });
}

void SetRecallMeter::add_recording(const MapSource& source) {
  values_.begin_sample();
  for (int layer = 0; layer < static_cast<int>(values_.rows()); ++layer) {
    if (!source.has_layer(layer)) continue;
    const auto selected = source.recording().selected(layer);
    if (selected) add_layer(source, layer, *selected);
  }
}

void SetRecallMeter::add_layer(const MapSource& source, int layer, const SelectedPositions& selected) {
  std::vector<float> prob;
  for (std::int64_t step = 0; step < std::min(source.steps(), selected.steps); ++step) {
    source.read_layer(layer, step, prob);
    add_step(layer, selected, step, prob, source.kv_len()[static_cast<std::size_t>(step)]);
  }
}

std::vector<std::int32_t> SetRecallMeter::set_of(const SelectedPositions& selected, std::int64_t step,
                                                 int set, std::int64_t kv_len) const {
  std::vector<std::int32_t> positions;
  const std::int64_t begin = (step * selected.n_sets + set) * selected.width;
  for (std::int64_t i = begin; i < begin + selected.width; ++i) {
    const std::int32_t x = selected.position[static_cast<std::size_t>(i)];
    if (x < 0 || (exclude_forced_ && std::isnan(selected.score[static_cast<std::size_t>(i)]))) continue;
    if (x >= kv_len)
      fail_input("selected position {} at step {}: expected less than kv_len {}", x, step, kv_len);
    if (x >= excluded_.begin() && x < excluded_.end(kv_len)) positions.push_back(x);
  }
  return positions;
}

void SetRecallMeter::add_step(int layer, const SelectedPositions& selected, std::int64_t step,
                              const std::vector<float>& prob, std::int64_t kv_len) {
  const int n_heads = static_cast<int>(selected.set_of_head.size());
  std::vector<std::vector<std::int32_t>> sets;
  std::size_t widest = 0;
  for (int set = 0; set < selected.n_sets; ++set) {
    sets.push_back(set_of(selected, step, set, kv_len));
    widest = std::max(widest, sets.back().size());
  }
  if (widest == 0) return;  // the layer neither chose nor read a set at this step
  TopSets top;
  top.build(std::span<const float>(prob), n_heads, kv_len,
            std::min<int>(kMaxTopK, std::max<int>(k_list_.back(), static_cast<int>(widest))), excluded_);
  std::vector<double> sum(static_cast<std::size_t>(values_.columns()));
  for (int head = 0; head < n_heads; ++head) {
    const auto& set = sets[static_cast<std::size_t>(selected.set_of_head[static_cast<std::size_t>(head)])];
    const auto share_of_top = [&](std::size_t k) {
      const int size = std::min(static_cast<int>(k), top.count(head));
      const auto in_top = [&](std::int32_t x) { return top.rank(head, x) < size; };
      return size == 0 ? std::numeric_limits<double>::quiet_NaN()
                       : static_cast<double>(std::count_if(set.begin(), set.end(), in_top)) / size;
    };
    for (std::size_t n = 0; n < k_list_.size(); ++n) {
      sum[n] += share_of_top(static_cast<std::size_t>(k_list_[n]));
    }
    sum[static_cast<std::size_t>(recall_at_own_size())] += share_of_top(set.size());
    for (std::int32_t x : set) {
      sum[static_cast<std::size_t>(mass())] += prob[static_cast<std::size_t>(head * kv_len + x)];
    }
    sum[static_cast<std::size_t>(size())] += static_cast<double>(set.size());
  }
  for (Eigen::Index column = 0; column < values_.columns(); ++column) {
    values_.add(layer, column, sum[static_cast<std::size_t>(column)] / n_heads);
  }
}

}  // namespace tide::analysis
