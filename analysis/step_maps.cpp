#include "analysis/step_maps.h"

#include <algorithm>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::uint8_t kFull = 0, kSelect = 1;  // role codes of contracts.md section 2

bool reads_everything(const std::vector<std::uint8_t>& role) {
  return std::all_of(role.begin(), role.end(), [](std::uint8_t r) { return r == kFull || r == kSelect; });
}

}  // namespace

MapSource::MapSource(const RecordingReader& recording) : recording_(&recording), kv_len_(recording.kv_len()) {
  const int n_layers = recording.info().n_layers;
  full_run_ = recording.info().placement.find_first_not_of("FS") == std::string::npos;
  use_.assign(static_cast<std::size_t>(n_layers), Use::none);
  for (int layer = 0; layer < n_layers; ++layer) {
    const bool prob = recording.has_prob(layer), shadow = recording.has_shadow_prob(layer);
    if (!prob && !shadow) continue;
    const bool full = reads_everything(recording.role(layer));
    full_run_ = full_run_ && full;
    Use& use = use_[static_cast<std::size_t>(layer)];
    if (prob && full) {
      use = Use::prob;
    } else if (shadow) {
      use = Use::shadow;
    } else if (prob) {
      ++sparse_prob_layers_;
    }
  }
}

int MapSource::n_layers_with_maps() const {
  return static_cast<int>(std::count_if(use_.begin(), use_.end(), [](Use use) { return use != Use::none; }));
}

void MapSource::require_maps() const {
  const std::string file = recording_->path().string();
  if (sparse_prob_layers_ > 0) {
    fail_input(
        "{}: {} layers hold weights of a sparse read only, policy '{}'; record with --policy full, or with "
        "--shadow for full attention's weights beside them",
        file, sparse_prob_layers_, recording_->info().policy);
  }
  if (n_layers_with_maps() == 0) {
    fail_input("{}: holds no attention maps; record with --maps full and --policy full, or with --shadow",
               file);
  }
  if (steps() == 0) fail_input("{}: holds no committed step; expected at least one", file);
}

void MapSource::read_layer(int layer, std::int64_t step, std::vector<float>& out) const {
  recording_->read_prob(layer, step, use_[static_cast<std::size_t>(layer)] == Use::shadow, out);
}

void MapSource::read_step(std::int64_t step, StepMaps& out) const {
  out.step = step;
  out.kv_len = kv_len_[static_cast<std::size_t>(step)];
  out.prob.resize(use_.size());
  for (std::size_t layer = 0; layer < use_.size(); ++layer) {
    if (use_[layer] == Use::none) {
      out.prob[layer].clear();
    } else {
      read_layer(static_cast<int>(layer), step, out.prob[layer]);
    }
  }
}

void sum_groups(const std::vector<float>& prob, int n_heads, int group_size, std::vector<double>& out) {
  const std::size_t kv_len = prob.size() / static_cast<std::size_t>(n_heads);
  out.assign(prob.size() / static_cast<std::size_t>(group_size), 0.0);
  for (std::size_t h = 0; h < static_cast<std::size_t>(n_heads); ++h) {
    double* sum = out.data() + h / static_cast<std::size_t>(group_size) * kv_len;
    const float* row = prob.data() + h * kv_len;
    for (std::size_t x = 0; x < kv_len; ++x) sum[x] += row[x];
  }
}

}  // namespace tide::analysis
