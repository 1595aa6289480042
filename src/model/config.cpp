#include "model/config.h"

#include <cmath>

#include "base/error.h"

namespace tide {

void validate(const ModelConfig& config, const std::string& source) {
  const auto positive = [&](const char* field, int value) {
    if (value <= 0) fail_input("{}: {} is {}, expected at least 1", source, field, value);
  };
  positive("n_layers", config.n_layers);
  positive("n_heads", config.n_heads);
  positive("n_kv_heads", config.n_kv_heads);
  positive("head_dim", config.head_dim);
  positive("hidden_size", config.hidden_size);
  positive("ffn_size", config.ffn_size);
  positive("vocab_size", config.vocab_size);
  positive("max_positions", config.max_positions);
  if (config.n_heads % config.n_kv_heads != 0) {
    fail_input("{}: n_heads {} is not a multiple of n_kv_heads {}", source, config.n_heads,
               config.n_kv_heads);
  }
  if (config.head_dim % 8 != 0) {
    fail_input("{}: head_dim {} is not a multiple of 8", source, config.head_dim);
  }
  if (!std::isfinite(config.rope_theta) || config.rope_theta <= 0) {
    fail_input("{}: rope_theta is {}, expected a positive number", source, config.rope_theta);
  }
  if (!std::isfinite(config.rms_epsilon) || config.rms_epsilon <= 0) {
    fail_input("{}: rms_epsilon is {}, expected a positive number", source, config.rms_epsilon);
  }
}

}  // namespace tide
