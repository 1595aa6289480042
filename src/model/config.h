#pragma once
// What a model is: the hyper-parameters of a decoder-only transformer of the Llama kind.

#include <cstdint>
#include <string>
#include <vector>

namespace tide {

struct ModelConfig {
  std::string name;          ///< as the checkpoint calls itself
  std::string architecture;  ///< "llama"
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int hidden_size = 0;
  int ffn_size = 0;
  int vocab_size = 0;
  int max_positions = 0;  ///< positions the model was trained for
  double rope_theta = 10000.0;
  float rms_epsilon = 1e-5f;

  int group_size() const { return n_heads / n_kv_heads; }
};

/// Throws InputError naming `source` and the field when a size is not positive or does not divide.
void validate(const ModelConfig& config, const std::string& source);

}  // namespace tide
