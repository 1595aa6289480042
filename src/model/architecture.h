#pragma once
// The architectures that run here: Llama, and what sets the others apart from it.

#include <string>

namespace tide {

struct Architecture {
  const char* name;      ///< model_type of config.json, general.architecture of GGUF
  const char* hf_class;  ///< as config.json names the class of its weights
  bool in_gguf;          ///< GGUF knows the name (a Mistral model is a llama there)
  /// Rows of Q and K in GGUF stand as interleaved rotary pairs, not as the two halves of a head.
  bool interleaved_in_gguf;
  bool qkv_bias;           ///< always has biases on Q, K and V
  bool attention_bias;     ///< config.json may ask for biases on Q, K, V and the output product
  bool qk_norm;            ///< RMSNorm on each head of Q and K
  bool kv_heads_optional;  ///< config.json may leave them out: as many as query heads
  int default_head_dim;    ///< where config.json has none; 0: hidden_size / num_attention_heads
  /// How config.json speaks of sliding windows: not at all, of one for all layers, of those of some layers.
  enum class Windows : unsigned char { none, all_layers, some_layers } windows;
};

/// The architecture of that name; nullptr: none.
const Architecture* find_architecture(const std::string& name);

/// "'llama', 'mistral', 'qwen2' or 'qwen3'"; those that GGUF knows with `in_gguf`.
std::string architecture_names(bool in_gguf);

}  // namespace tide
