#include "model/gguf_config.h"

#include "base/error.h"
#include "model/architecture.h"
#include "model/gguf_fields.h"
#include "model/gguf_rope.h"
#include "model/printable.h"

namespace tide {

namespace {

const Architecture& architecture_of(const GgufFile& file) {
  const std::string& name = file.text("general.architecture");
  const Architecture* found = find_architecture(name);
  if (found == nullptr || !found->in_gguf) {
    fail_input("{}: general.architecture is '{}', supported is {}", file.path().string(), printable(name),
               architecture_names(true));
  }
  return *found;
}

/// Settings of other models under an architecture's name, which would change the arithmetic.
void refuse_unsupported(const GgufFields& fields) {
  if (fields.size("expert_count", 0) > 0) {
    fields.fail("expert_count", std::to_string(fields.size("expert_count")),
                "0: mixtures of experts are not supported");
  }
  for (const char* name : {"attention.scale", "attention.clamp_kqv", "logit_scale", "embedding_scale",
                           "residual_scale", "attention.sliding_window_pattern"}) {
    if (fields.has(name)) fields.fail(name, "there", "a model without it");
  }
}

/// One width for all layers.
std::vector<std::int32_t> windows(const GgufFields& fields, int n_layers) {
  constexpr int kMostLayers = 1 << 16;  // a list of them is made before any tensor is looked for
  const int width = fields.size("attention.sliding_window", 0);
  if (width == 0) return {};
  if (n_layers > kMostLayers) fields.fail("block_count", std::to_string(n_layers), "at most 65536");
  return std::vector<std::int32_t>(static_cast<std::size_t>(n_layers), width);
}

int head_dim(const GgufFields& fields, const ModelConfig& config) {
  const int found = fields.size("attention.key_length", config.hidden_size / config.n_heads);
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    const int other = fields.size(name, found);
    if (other != found) fields.fail(name, std::to_string(other), fmt::format("head_dim {}", found));
  }
  return found;
}

}  // namespace

ModelConfig read_gguf_config(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  const GgufFields fields(file, architecture.name);
  refuse_unsupported(fields);
  ModelConfig config;
  config.architecture = architecture.name;
  config.name = file.has("general.name") ? file.text("general.name") : file.path().stem().string();
  config.n_layers = fields.size("block_count");
  config.n_heads = fields.size("attention.head_count");
  config.n_kv_heads = fields.size("attention.head_count_kv", config.n_heads);
  config.hidden_size = fields.size("embedding_length");
  config.ffn_size = fields.size("feed_forward_length");
  config.max_positions = fields.size("context_length");
  config.vocab_size = static_cast<int>(file.texts("tokenizer.ggml.tokens").size());
  config.rms_epsilon = static_cast<float>(fields.number("attention.layer_norm_rms_epsilon"));
  if (config.n_heads == 0) fields.fail("attention.head_count", "0", "at least 1");
  config.head_dim = head_dim(fields, config);
  config.qkv_bias = architecture.qkv_bias || file.has_tensor("blk.0.attn_q.bias");
  config.output_bias = file.has_tensor("blk.0.attn_output.bias");
  config.qk_norm = architecture.qk_norm;
  config.window = windows(fields, config.n_layers);
  read_gguf_rope(fields, config);
  validate(config, file.path().string());
  return config;
}

}  // namespace tide
