#include "calibrate/head_map_meter.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/top_k.h"

namespace tide {

HeadMapMeter::HeadMapMeter(const ModelConfig& config, std::vector<std::int64_t> rows, int k, int sinks,
                           int recent)
    : config_(config),
      rows_(std::move(rows)),
      k_(k),
      sinks_(sinks),
      recent_(recent),
      sets_(static_cast<std::size_t>(config.n_layers)),
      mass_(sums_of(config.n_layers, 0)) {
  TIDE_ASSERT(!rows_.empty() && rows_.front() >= sinks + recent);
}

ObserverWants HeadMapMeter::wants() const {
  ObserverWants wants;
  wants.prefill_rows = rows_;
  return wants;
}

/// Where a pair's [source heads, heads] begin.
std::size_t HeadMapMeter::sums_of(int source, int reader) const {
  const auto n_heads = static_cast<std::size_t>(config_.n_heads);
  return static_cast<std::size_t>(source * config_.n_layers + reader) * n_heads * n_heads;
}

/// The k strongest positions of every head at one row; -1 where there are fewer.
void HeadMapMeter::choose(const PrefillEvent& event, std::size_t row, std::vector<std::int32_t>& sets) const {
  const auto n_rows = static_cast<std::int64_t>(event.query_positions.size());
  const std::int64_t eligible = event.query_positions[row] + 1 - sinks_ - recent_;
  const std::int64_t count = std::min<std::int64_t>(k_, eligible);
  sets.assign(static_cast<std::size_t>(config_.n_heads * k_), -1);
  for (int head = 0; head < config_.n_heads; ++head) {
    const float* prob = event.prob + (head * n_rows + static_cast<std::int64_t>(row)) * event.stride;
    std::int32_t* set = sets.data() + static_cast<std::int64_t>(head) * k_;
    kernels::cpu::top_k({prob + sinks_, eligible, count, set, nullptr});
    for (std::int64_t i = 0; i < count; ++i) set[i] += sinks_;
  }
}

void HeadMapMeter::on_prefill(const PrefillEvent& event) {
  const std::size_t n_rows = event.query_positions.size();
  auto& here = sets_[static_cast<std::size_t>(event.layer)];
  here.resize(n_rows);
  for (std::size_t row = 0; row < n_rows; ++row) {
    choose(event, row, here[row]);
    for (int source = 0; source < event.layer; ++source) {
      const std::vector<std::int32_t>& sets = sets_[static_cast<std::size_t>(source)][row];
      double* sum = mass_.data() + sums_of(source, event.layer);
      for (int by = 0; by < config_.n_heads; ++by) {
        const std::int32_t* set = sets.data() + static_cast<std::int64_t>(by) * k_;
        for (int head = 0; head < config_.n_heads; ++head, ++sum) {
          const float* prob =
              event.prob +
              (head * static_cast<std::int64_t>(n_rows) + static_cast<std::int64_t>(row)) * event.stride;
          for (int i = 0; i < k_ && set[i] >= 0; ++i) *sum += prob[set[i]];
        }
      }
    }
  }
  if (event.layer == 0) n_seen_ += static_cast<std::int64_t>(n_rows);
}

HeadMap HeadMapMeter::head_map() const {
  TIDE_ASSERT(n_seen_ > 0);
  const auto n = static_cast<std::size_t>(config_.n_layers);
  HeadMap map;
  map.k = k_;
  map.excluded_sinks = sinks_;
  map.excluded_recent = recent_;
  map.n_layers = config_.n_layers;
  map.n_heads = config_.n_heads;
  map.source_head.assign(n, std::vector<std::vector<int>>(n));
  map.mass.assign(n, std::vector<std::vector<float>>(n));
  for (int source = 0; source < config_.n_layers; ++source) {
    for (int reader = source + 1; reader < config_.n_layers; ++reader) {
      const double* sums = mass_.data() + sums_of(source, reader);
      const auto a = static_cast<std::size_t>(source), b = static_cast<std::size_t>(reader);
      for (int head = 0; head < config_.n_heads; ++head) {
        const auto held = [&](int by) { return sums[by * config_.n_heads + head]; };
        int best = head;
        for (int by = 0; by < config_.n_heads; ++by) best = held(by) > held(best) ? by : best;
        map.source_head[a][b].push_back(best);
        map.mass[a][b].push_back(static_cast<float>(held(best) / static_cast<double>(n_seen_)));
      }
    }
  }
  return map;
}

}  // namespace tide
