#include "record/recorder_setup.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/text.h"

namespace tide {

namespace record {

Layout make_layout(const RecorderOptions& options, const ModelConfig& config, std::int64_t prompt_len,
                   std::int64_t max_steps) {
  Layout layout;
  layout.n_layers = config.n_layers;
  layout.n_heads = config.n_heads;
  layout.n_kv_heads = config.n_kv_heads;
  layout.head_dim = config.head_dim;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    if (options.layers.empty() || options.layers[static_cast<std::size_t>(layer)])
      layout.layers.push_back(layer);
  }
  layout.prob = options.maps == MapsMode::full;
  layout.top_k = options.maps == MapsMode::top_k ? options.top_k : 0;
  layout.shadow = options.shadow;
  layout.tier = options.tier;
  layout.compress = options.compression == Compression::deflate;
  layout.prompt_len = prompt_len;
  layout.max_steps = max_steps;
  layout.prefill_rows = options.prefill_rows;
  record::choose_chunks(layout, options.max_bytes);
  return layout;
}

void validate(const RecorderOptions& options, const ModelConfig& config, std::int64_t prompt_len,
              std::int64_t max_steps) {
  const std::string file = options.path.string();
  if (max_steps < 1) fail_input("record {}: {} steps, expected at least 1", file, max_steps);
  if (prompt_len < 1) fail_input("record {}: the prompt is empty", file);
  if (config.max_positions > 0 && prompt_len - 1 + max_steps > config.max_positions) {
    fail_input("record {}: a prompt of {} tokens and {} steps need {} positions, the model has {}", file,
               prompt_len, max_steps, prompt_len - 1 + max_steps, config.max_positions);
  }
  if (options.maps == MapsMode::top_k && options.top_k < 1) {
    fail_input("record {}: --maps topk:{}, expected K of at least 1", file, options.top_k);
  }
  if (!options.layers.empty() && std::ssize(options.layers) != config.n_layers) {
    fail_input("record {}: layers named for {} layers, the model has {}", file, options.layers.size(),
               config.n_layers);
  }
  std::int64_t last = -1;
  for (const std::int64_t row : options.prefill_rows) {
    if (row <= last || row > prompt_len - 2) {
      fail_input(
          "record {}: prefill row {}: expected ascending rows from 0 to {} (the last prompt token is "
          "decoded)",
          file, row, prompt_len - 2);
    }
    last = row;
  }
}

FileFacts make_facts(const RecordingOrigin& origin) {
  FileFacts facts;
  facts.info.tool_version = TIDEGAUGE_VERSION;
  facts.info.model_name = origin.config.name;
  facts.info.model_sha256 = origin.model_sha256;
  facts.info.policy = origin.policy;
  facts.info.placement = origin.placement;
  facts.info.config_toml = origin.config_toml;
  facts.info.seed = origin.seed;
  facts.info.created = record::utc_now();
  facts.prompt_ids = origin.prompt_ids;
  facts.prompt_strings = origin.prompt_strings;
  facts.prompt_strings.resize(origin.prompt_ids.size());
  facts.evidence = origin.evidence;
  return facts;
}

}  // namespace record

std::uint64_t estimate_bytes(const RecorderOptions& options, const ModelConfig& config,
                             std::int64_t prompt_len, std::int64_t steps) {
  const record::Layout layout =
      record::make_layout(options, config, prompt_len, std::max<std::int64_t>(steps, 1));
  record::StepSets sets;
  sets.n_sets = options.set_width > 0 ? config.n_heads : 0;
  sets.width = options.set_width;
  const std::int64_t blocks = (steps + layout.chunk_steps - 1) / layout.chunk_steps;
  const auto set_rows = static_cast<std::uint64_t>(blocks * layout.chunk_steps) * layout.layers.size();
  return layout.file_bytes(steps) + set_rows * record::sets_bytes(sets);
}

}  // namespace tide
