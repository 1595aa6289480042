#include "model/hf_windows.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr int kDefaultWindow = 4096, kDefaultFirstLayer = 28;
constexpr int kMostLayers = 1 << 16;  // a list of them is made before any tensor is looked for

/// The width of `sliding_window`; nullopt: none.
std::optional<int> window_width(const JsonFields& fields) {
  if (!fields.members().contains("sliding_window")) return kDefaultWindow;
  if (!fields.has("sliding_window")) return std::nullopt;
  return fields.size("sliding_window");
}

/// `layer_types` as one sliding or not a layer; nullopt: there is no such list.
std::optional<std::vector<bool>> listed_layers(const JsonFields& fields, int n_layers) {
  if (!fields.has("layer_types")) return std::nullopt;
  std::vector<bool> sliding;
  for (const auto& type : fields.array("layer_types")) {
    if (type != "full_attention" && type != "sliding_attention") {
      fail_input("{}: layer_types: layer {} is {}, expected \"full_attention\" or \"sliding_attention\"",
                 fields.source(), sliding.size(), printable(type.dump()));
    }
    sliding.push_back(type == "sliding_attention");
  }
  if (sliding.size() != static_cast<std::size_t>(n_layers)) {
    fail_input("{}: layer_types names {} layers, expected num_hidden_layers {}", fields.source(),
               sliding.size(), n_layers);
  }
  return sliding;
}

/// Layers from `max_window_layers` on.
std::vector<bool> last_layers(const JsonFields& fields, int n_layers) {
  const std::string key = "max_window_layers";
  std::uint64_t first = kDefaultFirstLayer;
  if (fields.has(key)) {
    if (!fields.value(key).is_number_unsigned()) fields.fail(key, "a whole number from 0 on");
    first = fields.value(key).get<std::uint64_t>();
  }
  std::vector<bool> sliding;
  for (int layer = 0; layer < n_layers; ++layer) {
    sliding.push_back(static_cast<std::uint64_t>(layer) >= first);
  }
  return sliding;
}

/// An architecture whose layers are all alike: a list of them may say nothing else.
void check_uniform(const JsonFields& fields, const Architecture& architecture, bool sliding, int n_layers) {
  const auto listed = listed_layers(fields, n_layers);
  if (!listed || std::count(listed->begin(), listed->end(), sliding) == n_layers) return;
  fields.fail("layer_types",
              fmt::format("\"{}\" at every layer of {}", sliding ? "sliding_attention" : "full_attention",
                          architecture.name));
}

std::vector<std::int32_t> windows_of_some(const JsonFields& fields, int n_layers) {
  const auto width = fields.boolean("use_sliding_window", false) ? window_width(fields) : std::nullopt;
  const auto listed = listed_layers(fields, n_layers);
  if (!width) {
    if (listed && std::count(listed->begin(), listed->end(), true) > 0) {
      fields.fail("layer_types", "\"full_attention\" at every layer: no sliding window is in use");
    }
    return {};
  }
  std::vector<std::int32_t> windows;
  for (const bool sliding : listed ? *listed : last_layers(fields, n_layers)) {
    windows.push_back(sliding ? *width : 0);
  }
  return windows;
}

}  // namespace

std::vector<std::int32_t> read_hf_windows(const JsonFields& fields, const Architecture& architecture,
                                          int n_layers) {
  if (n_layers > kMostLayers) {
    fields.fail("num_hidden_layers", fmt::format("at most {}", kMostLayers));
  }
  switch (architecture.windows) {
    case Architecture::Windows::some_layers:
      return windows_of_some(fields, n_layers);
    case Architecture::Windows::all_layers: {
      const auto width = window_width(fields);
      check_uniform(fields, architecture, width.has_value(), n_layers);
      return width ? std::vector<std::int32_t>(static_cast<std::size_t>(n_layers), *width)
                   : std::vector<std::int32_t>{};
    }
    default:
      if (fields.has("sliding_window")) {
        fields.fail("sliding_window", fmt::format("none: {} has no sliding windows", architecture.name));
      }
      check_uniform(fields, architecture, false, n_layers);
      return {};
  }
}

}  // namespace tide
