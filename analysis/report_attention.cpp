#include "analysis/report_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::int64_t kFewestSteps = 12, kMostSteps = 128, kFewestBins = 256;

/// How much of a recording a view keeps.
struct Extent {
  std::int64_t layers = 0, heads = 0, steps = 0, bin = 1, bins = 0;
  std::int64_t bytes() const { return layers * heads * steps * bins; }
};

Extent fitting_extent(Extent extent, std::int64_t positions, std::int64_t n_kv_heads,
                      std::int64_t max_bytes) {
  extent.steps = std::min(extent.steps, kMostSteps);
  extent.bins = positions;
  if (extent.bytes() > max_bytes && extent.steps > kFewestSteps) {
    const std::int64_t one_step = extent.bytes() / extent.steps;
    extent.steps = std::max(kFewestSteps, max_bytes / std::max<std::int64_t>(one_step, 1));
  }
  while (extent.bytes() > max_bytes && extent.bins / 2 >= kFewestBins) {
    extent.bin *= 2;
    extent.bins = (positions + extent.bin - 1) / extent.bin;
  }
  if (extent.bytes() > max_bytes) extent.heads = std::min(extent.heads, n_kv_heads);
  while (extent.bytes() > max_bytes && extent.layers > 1) extent.layers = (extent.layers + 1) / 2;
  while (extent.bytes() > max_bytes && extent.heads > 1) extent.heads = (extent.heads + 1) / 2;
  while (extent.bytes() > max_bytes && extent.steps > 1) extent.steps = (extent.steps + 1) / 2;
  return extent;
}

/// `n` of `all` numbers, the first and the last among them, evenly spaced.
template <typename T>
std::vector<T> evenly(const std::vector<T>& all, std::int64_t n) {
  const auto size = static_cast<std::int64_t>(all.size());
  if (n >= size) return all;
  std::vector<T> out;
  for (std::int64_t i = 0; i < n; ++i) {
    out.push_back(all[static_cast<std::size_t>(n == 1 ? 0 : i * (size - 1) / (n - 1))]);
  }
  return out;
}

/// One step of a layer as [n_heads, kv_len]; with --maps topk:K zeros where nothing was recorded.
void read_step(const RecordingReader& recording, int layer, std::int64_t step, std::int64_t kv_len,
               std::vector<float>& prob) {
  if (recording.has_shadow_prob(layer)) return recording.read_prob(layer, step, true, prob);
  if (recording.has_prob(layer)) return recording.read_prob(layer, step, false, prob);
  std::vector<std::int32_t> position;
  std::vector<float> top;
  recording.read_top(layer, step, position, top);
  const auto n_heads = static_cast<std::size_t>(recording.info().n_heads);
  const std::size_t k = position.size() / n_heads;
  prob.assign(n_heads * static_cast<std::size_t>(kv_len), 0.0f);
  for (std::size_t i = 0; i < position.size(); ++i) {
    if (position[i] < 0 || position[i] >= kv_len) continue;
    prob[i / k * static_cast<std::size_t>(kv_len) + static_cast<std::size_t>(position[i])] = top[i];
  }
}

/// Codes of one layer: the maximum of each bin.
std::vector<std::uint8_t> layer_codes(const RecordingReader& recording, int layer,
                                      const AttentionView& view) {
  const std::size_t n_steps = view.steps.size(), n_bins = static_cast<std::size_t>(view.n_bins);
  std::vector<std::uint8_t> code(view.heads.size() * n_steps * n_bins, 0);
  std::vector<float> prob;
  for (std::size_t step = 0; step < n_steps; ++step) {
    const auto kv_len = static_cast<std::size_t>(view.kv_len[step]);
    read_step(recording, layer, view.steps[step], view.kv_len[step], prob);
    for (std::size_t head = 0; head < view.heads.size(); ++head) {
      const float* row = prob.data() + static_cast<std::size_t>(view.heads[head]) * kv_len;
      std::uint8_t* out = code.data() + (head * n_steps + step) * n_bins;
      for (std::size_t position = 0; position < kv_len; ++position) {
        std::uint8_t& cell = out[position / static_cast<std::size_t>(view.bin_positions)];
        cell = std::max(cell, attention_code(row[position]));
      }
    }
  }
  return code;
}

std::vector<std::uint8_t> layer_read_bits(const RecordingReader& recording, int layer,
                                          const AttentionView& view) {
  const auto selected = recording.selected(layer);
  if (!selected || selected->n_sets < 1) return {};
  const std::size_t n_steps = view.steps.size();
  const std::size_t row_bytes = static_cast<std::size_t>((view.n_bins + 7) / 8);
  std::vector<std::uint8_t> bits(view.heads.size() * n_steps * row_bytes, 0);
  for (std::size_t head = 0; head < view.heads.size(); ++head) {
    const std::int64_t set = selected->set_of_head.at(static_cast<std::size_t>(view.heads[head]));
    if (set < 0 || set >= selected->n_sets) continue;
    for (std::size_t step = 0; step < n_steps; ++step) {
      if (view.steps[step] >= selected->steps) continue;
      const std::int32_t* positions =
          selected->position.data() + (view.steps[step] * selected->n_sets + set) * selected->width;
      std::uint8_t* row = bits.data() + (head * n_steps + step) * row_bytes;
      for (std::int64_t i = 0; i < selected->width; ++i) {
        if (positions[i] < 0 || positions[i] >= view.kv_len[step]) continue;
        const auto bin = static_cast<std::size_t>(positions[i] / view.bin_positions);
        row[bin / 8] = static_cast<std::uint8_t>(row[bin / 8] | (1u << (bin % 8)));
      }
    }
  }
  return bits;
}

void note_what_was_thinned(const RecordingReader& recording, std::size_t recorded_layers,
                           AttentionView& view) {
  const RecordingInfo& info = recording.info();
  if (static_cast<std::int64_t>(view.steps.size()) < info.committed_steps) {
    view.notes.push_back(
        fmt::format("{} of {} steps are here, evenly spaced", view.steps.size(), info.committed_steps));
  }
  if (view.bin_positions > 1) {
    view.notes.push_back(
        fmt::format("a column is the maximum of {} neighbouring positions", view.bin_positions));
  }
  if (static_cast<int>(view.heads.size()) < info.n_heads) {
    view.notes.push_back(fmt::format("{} of {} heads are here", view.heads.size(), info.n_heads));
  }
  if (view.layers.size() < recorded_layers) {
    view.notes.push_back(fmt::format("{} of {} layers are here", view.layers.size(), recorded_layers));
  }
}

}  // namespace

std::uint8_t attention_code(float prob) {
  if (!(prob > 0)) return 0;
  const double place = 1 - std::log10(static_cast<double>(prob)) / kAttentionFloorLog10;
  return static_cast<std::uint8_t>(std::clamp(std::lround(1 + 254 * place), 1l, 255l));
}

float attention_of_code(std::uint8_t code) {
  if (code == 0) return 0;
  return static_cast<float>(std::pow(10.0, kAttentionFloorLog10 * (1 - (code - 1) / 254.0)));
}

AttentionView load_attention_view(const RecordingReader& recording, std::int64_t max_bytes) {
  const RecordingInfo& info = recording.info();
  AttentionView view;
  view.name = recording.path().filename().string();
  view.prompt_len = info.prompt_len;
  std::vector<int> layers;
  for (const int layer : recording.layers()) {
    if (recording.has_prob(layer) || recording.has_shadow_prob(layer) || recording.has_top(layer)) {
      layers.push_back(layer);
    }
  }
  const auto kv_len = recording.kv_len();
  if (layers.empty() || kv_len.empty()) return view;

  const std::int64_t positions = *std::max_element(kv_len.begin(), kv_len.end());
  const Extent extent = fitting_extent(
      {static_cast<std::int64_t>(layers.size()), info.n_heads, info.committed_steps, 1, positions}, positions,
      info.n_kv_heads, max_bytes);
  std::vector<int> heads(static_cast<std::size_t>(info.n_heads));
  std::iota(heads.begin(), heads.end(), 0);
  std::vector<std::int64_t> steps(kv_len.size());
  std::iota(steps.begin(), steps.end(), 0);
  view.layers = evenly(layers, extent.layers);
  view.heads = evenly(heads, extent.heads);
  view.steps = evenly(steps, extent.steps);
  view.bin_positions = extent.bin;
  view.n_bins = extent.bins;
  for (const std::int64_t step : view.steps) view.kv_len.push_back(kv_len[static_cast<std::size_t>(step)]);
  for (const int layer : view.layers) {
    view.shadow = view.shadow || recording.has_shadow_prob(layer);
    view.top_only = view.top_only || !(recording.has_prob(layer) || recording.has_shadow_prob(layer));
    view.code.push_back(layer_codes(recording, layer, view));
    view.read_bits.push_back(layer_read_bits(recording, layer, view));
    const auto role = recording.role(layer);
    view.role.emplace_back();
    for (const std::int64_t step : view.steps)
      view.role.back().push_back(role.at(static_cast<std::size_t>(step)));
  }
  view.token = recording.token_strings();
  note_what_was_thinned(recording, layers.size(), view);
  return view;
}

}  // namespace tide::analysis
