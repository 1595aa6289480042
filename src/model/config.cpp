#include "model/config.h"

#include <cmath>

#include "base/error.h"

namespace tide {

namespace {

void validate_rope(const ModelConfig& config, const std::string& source) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto positive = [&](const char* field, double value) {
    if (!std::isfinite(value) || value <= 0) {
      fail_input("{}: {} is {}, expected a positive number", source, field, value);
    }
  };
  positive("rope_theta", config.rope_theta);
  positive("the rotary factor", scaling.factor);
  positive("the rotary attention factor", scaling.attention_factor);
  if (scaling.kind == RopeScaling::Kind::llama3 || scaling.kind == RopeScaling::Kind::yarn) {
    positive("the rotary scaling's original context", scaling.original_positions);
  }
  if (scaling.kind == RopeScaling::Kind::yarn && config.rope_theta == 1) {
    fail_input("{}: rope_theta is 1, expected another number beside yarn scaling", source);
  }
  if (!scaling.divisors.empty() && scaling.divisors.size() != static_cast<std::size_t>(config.head_dim / 2)) {
    fail_input("{}: {} divisors of rotary frequencies, expected head_dim / 2 = {}", source,
               scaling.divisors.size(), config.head_dim / 2);
  }
  for (const float divisor : scaling.divisors) positive("a divisor of rotary frequencies", divisor);
}

void validate_windows(const ModelConfig& config, const std::string& source) {
  if (!config.window.empty() && config.window.size() != static_cast<std::size_t>(config.n_layers)) {
    fail_input("{}: {} sliding windows, expected one a layer, {}", source, config.window.size(),
               config.n_layers);
  }
  for (const std::int32_t width : config.window) {
    if (width < 0) fail_input("{}: a sliding window is {}, expected at least 0", source, width);
  }
}

}  // namespace

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
  validate_rope(config, source);
  if (!std::isfinite(config.rms_epsilon) || config.rms_epsilon <= 0) {
    fail_input("{}: rms_epsilon is {}, expected a positive number", source, config.rms_epsilon);
  }
  validate_windows(config, source);
}

}  // namespace tide
