#include "analysis/evidence.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::uint8_t kFull = 0, kSelect = 1;  // role codes of contracts.md section 2

/// Steps at which both were fed the same tokens, from the first on.
std::int64_t steps_in_common(const RecordingReader& a, const RecordingReader& b) {
  const auto fed_a = a.fed_ids(), fed_b = b.fed_ids();
  const auto end = std::mismatch(fed_a.begin(), fed_a.end(), fed_b.begin(), fed_b.end()).first;
  return end - fed_a.begin();
}

/// Which of the evidence's positions each set of a step holds, [n_sets][evidence].
std::vector<std::vector<bool>> evidence_in_sets(const SelectedPositions& selected, std::int64_t step,
                                                const std::vector<std::int32_t>& evidence) {
  std::vector<std::vector<bool>> in(static_cast<std::size_t>(selected.n_sets));
  for (std::int64_t set = 0; set < selected.n_sets; ++set) {
    const auto begin = selected.position.begin() + (step * selected.n_sets + set) * selected.width;
    for (const std::int32_t position : evidence) {
      in[static_cast<std::size_t>(set)].push_back(std::find(begin, begin + selected.width, position) !=
                                                  begin + selected.width);
    }
  }
  return in;
}

}  // namespace

EvidenceMeter::EvidenceMeter(std::string policy, int n_layers, int n_heads)
    : policy_(std::move(policy)),
      n_heads_(n_heads),
      held_(n_layers, n_heads),
      mass_(n_layers, n_heads),
      mass_held_(n_layers, n_heads) {}

void EvidenceMeter::add_recording(const RecordingReader& recording, const MapSource* full) {
  held_.begin_sample();
  mass_.begin_sample();
  mass_held_.begin_sample();
  const std::vector<std::int32_t> evidence = recording.evidence();
  const std::int64_t steps =
      full == nullptr ? recording.info().committed_steps : steps_in_common(recording, full->recording());
  steps_ += steps;
  for (const int layer : recording.layers()) add_layer(recording, layer, evidence, steps, full);
}

void EvidenceMeter::add_layer(const RecordingReader& recording, int layer,
                              const std::vector<std::int32_t>& evidence, std::int64_t steps,
                              const MapSource* full) {
  const std::vector<std::uint8_t> role = recording.role(layer);
  const auto selected = recording.selected(layer);
  const bool weighted = full != nullptr && full->has_layer(layer);
  std::vector<float> prob;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::uint8_t code = role[static_cast<std::size_t>(step)];
    const bool reads_all = code == kFull || code == kSelect;
    if (!reads_all && (!selected || step >= selected->steps)) continue;  // what it read was not recorded
    const auto in_set =
        reads_all ? std::vector<std::vector<bool>>() : evidence_in_sets(*selected, step, evidence);
    if (weighted) full->read_layer(layer, step, prob);
    const std::int64_t kv_len = weighted ? full->kv_len()[static_cast<std::size_t>(step)] : 0;
    for (int head = 0; head < n_heads_; ++head) {
      const auto set = reads_all ? 0 : selected->set_of_head[static_cast<std::size_t>(head)];
      double count = 0, mass = 0, held = 0;
      for (std::size_t i = 0; i < evidence.size(); ++i) {
        const bool read = reads_all || in_set[static_cast<std::size_t>(set)][i];
        const double weight = weighted ? prob[static_cast<std::size_t>(head * kv_len + evidence[i])] : 0;
        count += read;
        mass += weight;
        held += read ? weight : 0;
      }
      held_.add(layer, head, count / static_cast<double>(evidence.size()));
      if (!weighted) continue;
      mass_.add(layer, head, mass);
      mass_held_.add(layer, head, held);
    }
  }
}

double share_held(const EvidenceMeter& meter) {
  const Eigen::MatrixXd mass = meter.mass().mean(), held = meter.mass_held().mean();
  return held.array().isNaN().select(0, held).sum() / mass.array().isNaN().select(0, mass).sum();
}

std::vector<EvidenceMeter> measure_evidence(const std::vector<MapSource>& sources) {
  std::vector<EvidenceMeter> meters;
  for (const MapSource& source : sources) {
    const RecordingReader& recording = source.recording();
    if (recording.evidence().empty()) continue;
    const auto ids = recording.prompt_ids();
    const auto same_prompt = [&](const MapSource& other) {
      return other.is_full_run() && other.n_layers_with_maps() > 0 && other.recording().prompt_ids() == ids;
    };
    const auto full = std::find_if(sources.begin(), sources.end(), same_prompt);
    const MapSource* weights = full != sources.end()             ? &*full
                               : source.n_layers_with_maps() > 0 ? &source
                                                                 : nullptr;
    const RecordingInfo& info = recording.info();
    auto meter = std::find_if(meters.begin(), meters.end(),
                              [&](const EvidenceMeter& known) { return known.policy() == info.policy; });
    if (meter == meters.end()) {
      meters.emplace_back(info.policy, info.n_layers, info.n_heads);
      meter = std::prev(meters.end());
    }
    meter->add_recording(recording, weights);
  }
  return meters;
}

}  // namespace tide::analysis
