#include "model/llama_gguf.h"

#include "base/error.h"
#include "model/llama_weights.h"
#include "model/printable.h"

namespace tide {

namespace {

const LlamaNames kNames = {.embedding = "token_embd.weight",
                           .final_norm = "output_norm.weight",
                           .lm_head = "output.weight",
                           .layers = "blk",
                           .attention_norm = "attn_norm.weight",
                           .q = "attn_q.weight",
                           .k = "attn_k.weight",
                           .v = "attn_v.weight",
                           .output = "attn_output.weight",
                           .ffn_norm = "ffn_norm.weight",
                           .gate = "ffn_gate.weight",
                           .up = "ffn_up.weight",
                           .down = "ffn_down.weight",
                           .interleaved_pairs = true};

/// An integer that must fit an int, so that a forged file cannot wrap around.
int small_integer(const GgufFile& file, const std::string& key) {
  const std::int64_t value = file.integer(key);
  if (value < 0 || value > (1 << 30)) {
    fail_input("{}: {} is {}, expected 0 to 2^30", file.path().string(), key, value);
  }
  return static_cast<int>(value);
}

void refuse_unsupported(const GgufFile& file) {
  const std::string path = file.path().string();
  if (file.has("llama.rope.scaling.type") && file.text("llama.rope.scaling.type") != "none") {
    fail_input("{}: llama.rope.scaling.type is '{}', supported is 'none'", path,
               printable(file.text("llama.rope.scaling.type")));
  }
  if (file.has_tensor("rope_freqs.weight")) {
    fail_input("{}: tensor rope_freqs.weight asks for scaled rotary frequencies, which are not supported",
               path);
  }
  for (const auto& [key, value] : file.metadata()) {
    if (key == "llama.expert_count" && file.integer(key) > 0) {
      fail_input("{}: llama.expert_count is {}, mixtures of experts are not supported", path,
                 file.integer(key));
    }
  }
}

}  // namespace

ModelConfig read_llama_config(const GgufFile& file) {
  const std::string path = file.path().string();
  ModelConfig config;
  config.architecture = file.text("general.architecture");
  if (config.architecture != "llama") {
    fail_input("{}: general.architecture is '{}', supported is 'llama'", path,
               printable(config.architecture));
  }
  refuse_unsupported(file);
  config.name = file.has("general.name") ? file.text("general.name") : file.path().stem().string();
  config.n_layers = small_integer(file, "llama.block_count");
  config.n_heads = small_integer(file, "llama.attention.head_count");
  config.n_kv_heads = file.has("llama.attention.head_count_kv")
                          ? small_integer(file, "llama.attention.head_count_kv")
                          : config.n_heads;
  config.hidden_size = small_integer(file, "llama.embedding_length");
  config.ffn_size = small_integer(file, "llama.feed_forward_length");
  config.max_positions = small_integer(file, "llama.context_length");
  config.vocab_size = static_cast<int>(file.texts("tokenizer.ggml.tokens").size());
  config.rope_theta = file.has("llama.rope.freq_base") ? file.number("llama.rope.freq_base") : 10000.0;
  config.rms_epsilon = static_cast<float>(file.number("llama.attention.layer_norm_rms_epsilon"));
  if (config.n_heads <= 0) fail_input("{}: llama.attention.head_count is 0, expected at least 1", path);
  config.head_dim = file.has("llama.attention.key_length") ? small_integer(file, "llama.attention.key_length")
                                                           : config.hidden_size / config.n_heads;
  validate(config, path);
  if (file.has("llama.rope.dimension_count") &&
      small_integer(file, "llama.rope.dimension_count") != config.head_dim) {
    fail_input("{}: llama.rope.dimension_count is {}, supported is head_dim {}", path,
               file.integer("llama.rope.dimension_count"), config.head_dim);
  }
  return config;
}

std::unique_ptr<Weights> read_llama_weights(const GgufFile& file, const ModelConfig& config,
                                            WeightType type) {
  WeightLoader loader(file, type);
  auto weights = collect_llama_weights(loader, config, kNames, !file.has_tensor(kNames.lm_head));
  loader.refuse_unused();
  loader.run();
  return weights;
}

}  // namespace tide
