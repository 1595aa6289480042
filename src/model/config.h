#pragma once
// What a model is: the hyper-parameters of a decoder-only transformer of the Llama kind.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace tide {

/// How rotary frequencies differ from theta^(-2i / head_dim), i < head_dim / 2. What each kind computes is in
/// decode/rope_angles.h.
struct RopeScaling {
  enum class Kind : std::uint8_t { none, linear, llama3, yarn };
  Kind kind = Kind::none;
  double factor = 1;                 ///< but for none: how many times longer the context became
  double original_positions = 0;     ///< llama3, yarn: the context before
  double low_frequency_factor = 1;   ///< llama3
  double high_frequency_factor = 4;  ///< llama3: above low_frequency_factor
  double beta_fast = 32;             ///< yarn: turns over original_positions from which on nothing changes
  double beta_slow = 1;              ///< yarn: turns up to which a frequency is divided by the whole factor
  bool truncate = true;              ///< yarn: the two bounds are rounded to whole dimensions
  double attention_factor = 1;       ///< cosines and sines are multiplied by it
  std::vector<float> divisors = {};  ///< [head_dim / 2]: frequencies are divided by them; empty: by nothing
};

struct ModelConfig {
  std::string name;          ///< as the checkpoint calls itself
  std::string architecture;  ///< "llama", "mistral", "qwen2" or "qwen3"
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int hidden_size = 0;
  int ffn_size = 0;
  int vocab_size = 0;
  int max_positions = 0;  ///< positions the model was made for
  double rope_theta = 10000.0;
  RopeScaling rope_scaling = {};
  float rms_epsilon = 1e-5f;
  bool qkv_bias = false;     ///< biases on Q, K and V
  bool output_bias = false;  ///< a bias on the attention's output product
  bool qk_norm = false;      ///< RMSNorm on each head of Q and K before rotation
  /// By layer, how many positions a query reads at most, its own being the last of them (a sliding window);
  /// 0: all. Empty: all at every layer.
  std::vector<std::int32_t> window = {};

  int group_size() const { return n_heads / n_kv_heads; }
  std::int64_t window_of(int layer) const {
    return window.empty() ? 0 : window[static_cast<std::size_t>(layer)];
  }
  /// The first position that the query at position kv_len - 1 reads at a layer.
  std::int64_t first_readable(int layer, std::int64_t kv_len) const {
    const std::int64_t width = window_of(layer);
    return width == 0 ? 0 : std::max<std::int64_t>(0, kv_len - width);
  }
};

/// Throws InputError naming `source` and the field when a size is not positive or does not divide, a rotary
/// setting is out of its range, or a window is negative or missing for a layer.
void validate(const ModelConfig& config, const std::string& source);

}  // namespace tide
