#include "model/hf_config.h"

#include "base/error.h"
#include "model/hf_rope.h"
#include "model/hf_windows.h"
#include "model/json_file.h"

namespace tide {

namespace {

const Architecture& architecture_of(const JsonFields& fields) {
  const Architecture* found = find_architecture(fields.text("model_type"));
  if (found == nullptr) fields.fail("model_type", architecture_names(false));
  if (fields.has("architectures")) {
    const auto& names = fields.array("architectures");
    if (names.size() != 1 || names[0] != found->hf_class) {
      fields.fail("architectures", fmt::format("[\"{}\"]", found->hf_class));
    }
  }
  return *found;
}

void refuse_unsupported(const JsonFields& fields, const Architecture& architecture) {
  if (fields.has("hidden_act") && fields.value("hidden_act") != "silu") fields.fail("hidden_act", "'silu'");
  if (fields.boolean("mlp_bias", false)) {
    fields.fail("mlp_bias", "false: biases in the feed-forward are not supported");
  }
  if (fields.boolean("attention_bias", false) && !architecture.attention_bias) {
    fields.fail("attention_bias", fmt::format("false: {} has no such setting", architecture.name));
  }
  if (fields.has("quantization_config")) {
    fields.fail("quantization_config", "none: quantised safetensors are not supported");
  }
}

/// null stands for as many as query heads. Left out, it does so in some classes; others have a number of
/// their own, so that it must be said.
int n_kv_heads(const JsonFields& fields, const Architecture& architecture, int n_heads) {
  const std::string key = "num_key_value_heads";
  const bool may_be_absent = architecture.kv_heads_optional || fields.members().contains(key);
  if (!fields.has(key) && may_be_absent) return n_heads;
  const int found = fields.size(key);
  if (n_heads % found != 0) fields.fail(key, fmt::format("a divisor of num_attention_heads {}", n_heads));
  return found;
}

int head_dim(const JsonFields& fields, const Architecture& architecture, const ModelConfig& config) {
  if (fields.has("head_dim")) {
    const int given = fields.size("head_dim");
    if (given % 8 != 0) fields.fail("head_dim", "a multiple of 8");
    return given;
  }
  if (architecture.default_head_dim > 0) return architecture.default_head_dim;
  if (config.hidden_size % config.n_heads != 0 || config.hidden_size / config.n_heads % 8 != 0) {
    fail_input("{}: hidden_size {} / num_attention_heads {}, which is head_dim, is no multiple of 8",
               fields.source(), config.hidden_size, config.n_heads);
  }
  return config.hidden_size / config.n_heads;
}

/// The folder's own name, also of "." and "folder/".
std::string name_of(const std::filesystem::path& folder) {
  return std::filesystem::canonical(folder).filename().string();
}

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& folder) {
  const JsonFields fields(folder / "config.json");
  const Architecture& architecture = architecture_of(fields);
  refuse_unsupported(fields, architecture);
  ModelConfig config;
  config.name = name_of(folder);
  config.architecture = architecture.name;
  config.n_layers = fields.size("num_hidden_layers");
  config.n_heads = fields.size("num_attention_heads");
  config.n_kv_heads = n_kv_heads(fields, architecture, config.n_heads);
  config.hidden_size = fields.size("hidden_size");
  config.ffn_size = fields.size("intermediate_size");
  config.vocab_size = fields.size("vocab_size");
  config.head_dim = head_dim(fields, architecture, config);
  config.max_positions = fields.size("max_position_embeddings");
  read_hf_rope(fields, config);
  config.rms_epsilon = static_cast<float>(fields.positive("rms_norm_eps"));
  config.output_bias = fields.boolean("attention_bias", false);
  config.qkv_bias = architecture.qkv_bias || config.output_bias;
  config.qk_norm = architecture.qk_norm;
  config.window = read_hf_windows(fields, architecture, config.n_layers);
  validate(config, fields.source());
  return {config, fields.boolean("tie_word_embeddings", false)};
}

}  // namespace tide
