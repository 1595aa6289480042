#include "calibrate/head_map_meter.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "kernels/top_k.h"

namespace tide {

namespace {

std::size_t of(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

HeadMapMeter::HeadMapMeter(const ModelConfig& config, HeadMapPlan plan)
    : config_(config),
      plan_(std::move(plan)),
      n_units_(plan_.unit == "kv_head" ? config.n_kv_heads : config.n_heads),
      most_(plan_.ks.back()),
      sets_(of(config.n_layers)),
      mass_(sums_of(plan_.ks.size(), 0, 0)),
      own_(plan_.ks.size() * of(config.n_layers) * of(n_units_)) {
  TIDE_ASSERT(plan_.unit == "query_head" || plan_.unit == "kv_head");
  TIDE_ASSERT(std::is_sorted(plan_.ks.begin(), plan_.ks.end()) && plan_.ks.front() > 0);
}

void HeadMapMeter::look_at(std::vector<std::int64_t> rows) { plan_.rows = std::move(rows); }

ObserverWants HeadMapMeter::wants() const {
  TIDE_ASSERT(!plan_.rows.empty() && plan_.rows.front() >= plan_.sinks + plan_.recent);
  ObserverWants wants;
  wants.prefill_rows = plan_.rows;
  return wants;
}

/// Where a pair's [source heads, heads] begin.
std::size_t HeadMapMeter::sums_of(std::size_t which, int source, int reader) const {
  const auto layers = of(config_.n_layers);
  return ((which * layers + of(source)) * layers + of(reader)) * of(n_units_) * of(n_units_);
}

HeadMapMeter::Weights HeadMapMeter::weights_of(const PrefillEvent& event, std::size_t row) {
  const std::int64_t n_rows = std::ssize(event.query_positions), stride = event.stride;
  const auto of_head = [&](int head) {
    return event.prob + (head * n_rows + static_cast<std::int64_t>(row)) * stride;
  };
  if (plan_.unit == "query_head") return {of_head(0), n_rows * stride};
  const int group = config_.group_size();
  pooled_.assign(of(n_units_ * stride), 0.0f);
  for (int head = 0; head < config_.n_heads; ++head) {
    float* pooled = pooled_.data() + head / group * stride;
    for (std::int64_t p = 0; p < stride; ++p) pooled[p] += of_head(head)[p] / static_cast<float>(group);
  }
  return {pooled_.data(), stride};
}

/// The strongest positions of every head at a row of `there` positions; -1 where there are fewer.
void HeadMapMeter::choose(const Weights& weights, std::int64_t there, std::vector<std::int32_t>& sets) const {
  const std::int64_t eligible = there - plan_.sinks - plan_.recent;
  const std::int64_t count = std::min<std::int64_t>(most_, eligible);
  sets.assign(of(n_units_ * most_), -1);
  for (int head = 0; head < n_units_; ++head) {
    const float* weight = weights.data + head * weights.stride;
    std::int32_t* set = sets.data() + static_cast<std::int64_t>(head) * most_;
    kernels::cpu::top_k({weight + plan_.sinks, eligible, count, set, nullptr});
    for (std::int64_t i = 0; i < count; ++i) set[i] += plan_.sinks;
  }
}

void HeadMapMeter::add_held(const float* weight, const std::int32_t* set, double* sum,
                            std::size_t step) const {
  double held = 0;
  int i = 0;
  for (const int k : plan_.ks) {
    for (; i < k && set[i] >= 0; ++i) held += weight[set[i]];
    *sum += held;
    sum += step;
  }
}

void HeadMapMeter::add(const Weights& weights, int reader, const std::vector<std::int32_t>& sets,
                       int source) {
  double* sum = mass_.data() + sums_of(0, source, reader);
  for (int by = 0; by < n_units_; ++by) {
    const std::int32_t* set = sets.data() + static_cast<std::int64_t>(by) * most_;
    for (int head = 0; head < n_units_; ++head, ++sum)
      add_held(weights.data + head * weights.stride, set, sum, sums_of(1, 0, 0));
  }
}

void HeadMapMeter::add_own(const Weights& weights, int layer, const std::vector<std::int32_t>& sets) {
  for (int head = 0; head < n_units_; ++head) {
    add_held(weights.data + head * weights.stride, sets.data() + static_cast<std::int64_t>(head) * most_,
             own_.data() + of(layer * n_units_ + head), of(config_.n_layers * n_units_));
  }
}

void HeadMapMeter::on_prefill(const PrefillEvent& event) {
  const std::size_t n_rows = event.query_positions.size();
  auto& here = sets_[of(event.layer)];
  here.resize(n_rows);
  for (std::size_t row = 0; row < n_rows; ++row) {
    const Weights weights = weights_of(event, row);
    choose(weights, event.query_positions[row] + 1, here[row]);
    add_own(weights, event.layer, here[row]);
    for (int source = 0; source < event.layer; ++source)
      add(weights, event.layer, sets_[of(source)][row], source);
  }
  if (event.layer == 0) n_seen_ += static_cast<std::int64_t>(n_rows);
}

HeadMap HeadMapMeter::head_map(std::size_t which) const {
  TIDE_ASSERT(n_seen_ > 0);
  const auto n = of(config_.n_layers);
  HeadMap map;
  map.unit = plan_.unit;
  map.k = plan_.ks[which];
  map.excluded_sinks = plan_.sinks;
  map.excluded_recent = plan_.recent;
  map.n_layers = config_.n_layers;
  map.n_heads = n_units_;
  map.source_head.assign(n, std::vector<std::vector<int>>(n));
  map.mass.assign(n, std::vector<std::vector<float>>(n));
  std::vector<std::vector<double>> own(n);
  const auto mean = [&](double sum) { return sum / static_cast<double>(n_seen_); };
  for (int source = 0; source < config_.n_layers; ++source) {
    const double* own_sums = own_.data() + (which * n + of(source)) * of(n_units_);
    for (int head = 0; head < n_units_; ++head) own[of(source)].push_back(mean(own_sums[head]));
    for (int reader = source + 1; reader < config_.n_layers; ++reader) {
      const double* sums = mass_.data() + sums_of(which, source, reader);
      for (int head = 0; head < n_units_; ++head) {
        const auto held = [&](int by) { return sums[by * n_units_ + head]; };
        int best = head;
        for (int by = 0; by < n_units_; ++by) best = held(by) > held(best) ? by : best;
        map.source_head[of(source)][of(reader)].push_back(best);
        map.mass[of(source)][of(reader)].push_back(static_cast<float>(mean(held(best))));
      }
    }
  }
  map.evidence = nlohmann::json{{"own_mass", own}}.dump();
  return map;
}

}  // namespace tide
