#include "analysis/figures_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::uint8_t kSelectRole = 1;  // contracts.md section 2
constexpr double kDecades = 4;           // of the colour scale, below the largest weight

template <typename T>
std::size_t index_of(const std::vector<T>& values, T value, const char* what, const std::string& name) {
  const auto found = std::find(values.begin(), values.end(), value);
  if (found == values.end()) fail_input("draw attention of {}: {} {} is not there", name, what, value);
  return static_cast<std::size_t>(found - values.begin());
}

/// Weight of a cell; NaN where nothing is known or read.
float weight(const AttentionView& view, std::size_t layer, std::size_t head, std::size_t step,
             std::size_t bin) {
  const std::size_t row = head * view.steps.size() + step, n_bins = static_cast<std::size_t>(view.n_bins);
  const std::uint8_t code = view.code[layer][row * n_bins + bin];
  const auto& bits = view.read_bits[layer];
  const bool read =
      bits.empty() || view.shadow || (bits[row * ((n_bins + 7) / 8) + bin / 8] >> (bin % 8) & 1u);
  if (code == 0 && (view.top_only || !read)) return std::numeric_limits<float>::quiet_NaN();
  return attention_of_code(code);
}

std::vector<int> layers_to_draw(const AttentionView& view) {
  std::vector<int> layers;
  for (std::size_t i = 0; i < view.layers.size(); ++i) {
    const auto& role = view.role[i];
    if (std::find(role.begin(), role.end(), kSelectRole) != role.end()) layers.push_back(view.layers[i]);
  }
  if (!layers.empty() || view.layers.empty()) return layers;
  const std::size_t last = view.layers.size() - 1;
  for (const std::size_t i : {std::size_t{0}, last / 3, 2 * last / 3, last}) {
    if (layers.empty() || layers.back() != view.layers[i]) layers.push_back(view.layers[i]);
  }
  return layers;
}

}  // namespace

Heatmap attention_heatmap(const AttentionView& view, int layer, std::optional<int> head, std::int64_t sinks) {
  const std::size_t layer_index = index_of(view.layers, layer, "layer", view.name);
  std::size_t first_head = 0, last_head = view.heads.size();
  if (head) {
    first_head = index_of(view.heads, *head, "head", view.name);
    last_head = first_head + 1;
  }
  Heatmap map;
  map.title = head ? fmt::format("Attention of layer {}, head {}", layer, *head)
                   : fmt::format("Attention of layer {}, maximum over {} heads", layer, view.heads.size());
  map.subtitle = view.name + (view.shadow ? ", full attention's weights" : "") +
                 (sinks > 0 ? fmt::format("; first {} positions hidden", sinks) : "");
  map.x_label = "position (tokens)";
  map.y_label = "decode step";
  map.value_label = "prob";
  map.n_rows = static_cast<std::int64_t>(view.steps.size());
  map.n_columns = view.n_bins;
  map.column_step = view.bin_positions;
  map.log_scale = true;
  float most = 0;
  for (std::size_t step = 0; step < view.steps.size(); ++step) {
    map.row_labels.push_back(std::to_string(view.steps[step]));
    for (std::int64_t bin = 0; bin < view.n_bins; ++bin) {
      float value = std::numeric_limits<float>::quiet_NaN();
      const std::int64_t position = bin * view.bin_positions;
      for (std::size_t i = first_head; position >= sinks && position < view.kv_len[step] && i < last_head;
           ++i) {
        const float of_head = weight(view, layer_index, i, step, static_cast<std::size_t>(bin));
        if (!std::isnan(of_head) && !(value >= of_head)) value = of_head;
      }
      map.value.push_back(value);
      if (value > most) most = value;
    }
  }
  const double top = most > 0 ? std::min(0.0, std::ceil(std::log10(static_cast<double>(most)) - 1e-6)) : 0;
  map.high = std::pow(10.0, top);
  map.low = std::pow(10.0, top - kDecades);
  return map;
}

std::vector<std::string> write_attention_figures(const std::filesystem::path& folder,
                                                 const AttentionView& view) {
  std::vector<std::string> stems;
  for (const int layer : layers_to_draw(view)) {
    stems.push_back(fmt::format("attention_layer_{:02}", layer));
    write_heatmap(folder / stems.back(), attention_heatmap(view, layer, std::nullopt));
  }
  return stems;
}

}  // namespace tide::analysis
