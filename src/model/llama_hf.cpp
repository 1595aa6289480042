#include "model/llama_hf.h"

#include <array>

#include "base/error.h"
#include "model/json_file.h"
#include "model/llama_weights.h"
#include "model/printable.h"

namespace tide {

namespace {

const LlamaNames kNames = {.embedding = "model.embed_tokens.weight",
                           .final_norm = "model.norm.weight",
                           .lm_head = "lm_head.weight",
                           .layers = "model.layers",
                           .attention_norm = "input_layernorm.weight",
                           .q = "self_attn.q_proj.weight",
                           .k = "self_attn.k_proj.weight",
                           .v = "self_attn.v_proj.weight",
                           .output = "self_attn.o_proj.weight",
                           .ffn_norm = "post_attention_layernorm.weight",
                           .gate = "mlp.gate_proj.weight",
                           .up = "mlp.up_proj.weight",
                           .down = "mlp.down_proj.weight"};

/// An optional member that must have one value.
void require_text(const JsonFields& fields, const std::string& key, const std::string& supported) {
  if (fields.has(key) && fields.value(key) != supported) fields.fail(key, fmt::format("'{}'", supported));
}

void check_architecture(const JsonFields& fields) {
  if (fields.text("model_type") != "llama") fields.fail("model_type", "'llama'");
  if (!fields.has("architectures")) return;
  const auto& names = fields.array("architectures");
  if (names.size() != 1 || names[0] != "LlamaForCausalLM")
    fields.fail("architectures", "[\"LlamaForCausalLM\"]");
}

void refuse_unsupported(const JsonFields& fields) {
  check_architecture(fields);
  require_text(fields, "hidden_act", "silu");
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (fields.boolean(key, false)) fields.fail(key, "false: biases are not supported");
  }
  if (fields.has("quantization_config")) {
    fields.fail("quantization_config", "none: quantised safetensors are not supported");
  }
}

/// A group of rotary settings: nothing but the default type.
void refuse_scaled_rope(const JsonFields& rope) {
  for (const char* key : {"rope_type", "type"}) require_text(rope, key, "default");
  if (rope.has("partial_rotary_factor") && rope.value("partial_rotary_factor") != 1.0) {
    rope.fail("partial_rotary_factor", "1");
  }
}

/// transformers 5: rope_parameters {rope_type, rope_theta}. Before: rope_theta, and rope_scaling unless the
/// type is the default. Neither: transformers' default.
double rope_theta(const JsonFields& fields) {
  double theta = fields.has("rope_theta") ? fields.positive("rope_theta") : 10000.0;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!fields.has(key)) continue;
    const JsonFields rope = fields.object(key);
    refuse_scaled_rope(rope);
    if (rope.has("rope_theta")) theta = rope.positive("rope_theta");
  }
  return theta;
}

int head_dim(const JsonFields& fields, const ModelConfig& config) {
  if (fields.has("head_dim")) {
    const int given = fields.size("head_dim");
    if (given % 8 != 0) fields.fail("head_dim", "a multiple of 8");
    return given;
  }
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

LlamaHfConfig read_llama_hf_config(const std::filesystem::path& folder) {
  const JsonFields fields(folder / "config.json");
  refuse_unsupported(fields);
  ModelConfig config;
  config.name = name_of(folder);
  config.architecture = "llama";
  config.n_layers = fields.size("num_hidden_layers");
  config.n_heads = fields.size("num_attention_heads");
  config.n_kv_heads = fields.has("num_key_value_heads") ? fields.size("num_key_value_heads") : config.n_heads;
  if (config.n_heads % config.n_kv_heads != 0) {
    fields.fail("num_key_value_heads", fmt::format("a divisor of num_attention_heads {}", config.n_heads));
  }
  config.hidden_size = fields.size("hidden_size");
  config.ffn_size = fields.size("intermediate_size");
  config.vocab_size = fields.size("vocab_size");
  config.max_positions = fields.size("max_position_embeddings");
  config.head_dim = head_dim(fields, config);
  config.rope_theta = rope_theta(fields);
  config.rms_epsilon = static_cast<float>(fields.positive("rms_norm_eps"));
  validate(config, fields.source());
  return {config, fields.boolean("tie_word_embeddings", false)};
}

void check_embedding(const TensorSource& source, const ModelConfig& config) {
  source.tensor(kNames.embedding, std::array<std::int64_t, 2>{config.vocab_size, config.hidden_size});
}

std::unique_ptr<Weights> read_llama_hf_weights(const TensorSource& source, const LlamaHfConfig& config,
                                               WeightType type) {
  WeightLoader loader(source, type);
  auto weights = collect_llama_weights(loader, config.model, kNames, config.tied);
  // transformers leaves these alone too: a second copy of a tied embedding, and rotary frequencies that are
  // made from rope_theta.
  if (config.tied) loader.ignore(kNames.lm_head);
  for (int layer = 0; layer < config.model.n_layers; ++layer) {
    loader.ignore(fmt::format("{}.{}.self_attn.rotary_emb.inv_freq", kNames.layers, layer));
  }
  loader.refuse_unused();
  loader.run();
  return weights;
}

}  // namespace tide
