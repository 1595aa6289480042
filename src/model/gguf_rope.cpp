#include "model/gguf_rope.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

using Kind = RopeScaling::Kind;

Kind kind_of(const GgufFields& fields) {
  const std::string name = "rope.scaling.type";
  if (fields.has("rope.scale_linear")) fields.fail("rope.scale_linear", "there", "rope.scaling.factor");
  if (!fields.has(name)) return Kind::none;
  const std::string& type = fields.file().text(fields.key(name));
  if (type == "none") return Kind::none;
  if (type == "linear") return Kind::linear;
  if (type == "yarn") return Kind::yarn;
  fields.fail(name, "'" + printable(type) + "'", "'none', 'linear' or 'yarn'");
}

void read_yarn(const GgufFields& fields, int max_positions, RopeScaling& scaling) {
  for (const char* name : {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"}) {
    if (fields.number(name, 1) != 1) fields.fail(name, std::to_string(fields.number(name)), "1");
  }
  if (fields.has("rope.scaling.yarn_log_multiplier")) {
    fields.fail("rope.scaling.yarn_log_multiplier", "there", "a model without it");
  }
  scaling.original_positions = fields.size("rope.scaling.original_context_length", max_positions);
  scaling.beta_fast = fields.positive("rope.scaling.yarn_beta_fast", scaling.beta_fast);
  scaling.beta_slow = fields.positive("rope.scaling.yarn_beta_slow", scaling.beta_slow);
  const double temperature = scaling.factor <= 1 ? 1 : 0.1 * std::log(scaling.factor) + 1;
  scaling.attention_factor = fields.positive("rope.scaling.attn_factor", 1) * temperature;
}

std::vector<float> read_divisors(const GgufFile& file, int head_dim) {
  const StoredTensor& tensor =
      file.TensorSource::tensor(kRotaryDivisors, std::array<std::int64_t, 1>{head_dim / 2});
  std::vector<float> divisors(static_cast<std::size_t>(head_dim / 2));
  dequantise_rows(tensor, 0, 1, divisors.data());
  for (const float divisor : divisors) {
    if (!std::isfinite(divisor) || divisor <= 0) {
      fail_input("{}: tensor {} holds {}, expected numbers above 0", file.path().string(), kRotaryDivisors,
                 divisor);
    }
  }
  return divisors;
}

}  // namespace

void read_gguf_rope(const GgufFields& fields, ModelConfig& config) {
  config.rope_theta = fields.number("rope.freq_base", 10000.0);
  RopeScaling& scaling = config.rope_scaling;
  scaling.kind = kind_of(fields);
  if (fields.file().has_tensor(kRotaryDivisors)) {
    if (scaling.kind != Kind::none) {
      fail_input("{}: tensor {} stands beside {}, supported is one of them", fields.file().path().string(),
                 kRotaryDivisors, fields.key("rope.scaling.type"));
    }
    scaling.divisors = read_divisors(fields.file(), config.head_dim);
  }
  if (scaling.kind == Kind::none) return;
  scaling.factor = fields.positive("rope.scaling.factor");
  scaling.original_positions = config.max_positions;
  if (scaling.kind == Kind::yarn) read_yarn(fields, config.max_positions, scaling);
  const double positions = std::floor(scaling.original_positions * scaling.factor);
  if (positions > 1 << 30) {
    fields.fail("rope.scaling.factor", std::to_string(scaling.factor), "one that leads to 2^30 positions");
  }
  config.max_positions = std::max(config.max_positions, static_cast<int>(positions));
}

}  // namespace tide
