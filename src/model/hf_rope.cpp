#include "model/hf_rope.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tide {

namespace {

using Kind = RopeScaling::Kind;

/// The object that holds the settings; empty where there is none.
JsonFields settings_of(const JsonFields& fields) {
  const bool newer = fields.has("rope_parameters"), older = fields.has("rope_scaling");
  if (newer && older && fields.value("rope_parameters") != fields.value("rope_scaling")) {
    fields.fail("rope_scaling", "nothing else than rope_parameters has, which stands beside it");
  }
  if (newer) return fields.object("rope_parameters");
  if (older) return fields.object("rope_scaling");
  return {fields.source(), nlohmann::json::object()};
}

Kind kind_of(const JsonFields& rope) {
  const std::string key = rope.has("rope_type") ? "rope_type" : "type";
  if (!rope.has(key)) return Kind::none;
  const auto& name = rope.value(key);
  if (name == "default") return Kind::none;
  if (name == "linear") return Kind::linear;
  if (name == "llama3") return Kind::llama3;
  if (name == "yarn") return Kind::yarn;
  rope.fail(key, "'default', 'linear', 'llama3' or 'yarn'");
}

void refuse_settings_by_layer(const JsonFields& rope) {
  for (const auto& [key, value] : rope.members().items()) {
    if (value.is_object()) rope.fail(key, "a number: one set of rotary settings for all layers");
  }
}

void require_whole_heads(const JsonFields& fields) {
  const std::string key = "partial_rotary_factor";
  if (fields.has(key) && fields.value(key) != 1.0) fields.fail(key, "1");
}

void read_llama3(const JsonFields& rope, RopeScaling& scaling) {
  scaling.low_frequency_factor = rope.positive("low_freq_factor");
  scaling.high_frequency_factor = rope.positive("high_freq_factor");
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
    rope.fail("high_freq_factor", fmt::format("above low_freq_factor {}", scaling.low_frequency_factor));
  }
}

/// An optional number of at least 0; 0 where there is none.
double optional_number(const JsonFields& rope, const std::string& key) {
  return rope.has(key) && rope.value(key) != 0 ? rope.positive(key) : 0;
}

double yarn_attention_factor(const JsonFields& rope, double factor) {
  if (rope.has("attention_factor")) return rope.positive("attention_factor");
  const auto temperature = [factor](double scale) {
    return factor <= 1 ? 1 : 0.1 * scale * std::log(factor) + 1;
  };
  const double scale = optional_number(rope, "mscale"), of_all = optional_number(rope, "mscale_all_dim");
  return scale > 0 && of_all > 0 ? temperature(scale) / temperature(of_all) : temperature(1);
}

void read_yarn(const JsonFields& rope, RopeScaling& scaling) {
  scaling.attention_factor = yarn_attention_factor(rope, scaling.factor);
  if (rope.has("beta_fast")) scaling.beta_fast = rope.positive("beta_fast");
  if (rope.has("beta_slow")) scaling.beta_slow = rope.positive("beta_slow");
  scaling.truncate = rope.boolean("truncate", true);
}

/// Where yarn's factor is left out, the one that leads from the original context to the whole one.
double factor_of(const JsonFields& rope, const RopeScaling& scaling, int max_positions) {
  const std::string original = "original_max_position_embeddings";
  if (scaling.kind == Kind::yarn && !rope.has("factor") && rope.has(original)) {
    return max_positions / scaling.original_positions;
  }
  return rope.positive("factor");
}

int longer_context(const JsonFields& rope, const RopeScaling& scaling, int max_positions) {
  if (scaling.kind != Kind::linear && scaling.kind != Kind::yarn) return max_positions;
  const double original = scaling.kind == Kind::yarn ? scaling.original_positions : max_positions;
  const double positions = std::floor(original * scaling.factor);
  if (positions > 1 << 30) {
    rope.fail("factor", fmt::format("one that leads from {} to at most 2^30 positions", original));
  }
  return std::max(max_positions, static_cast<int>(positions));
}

}  // namespace

void read_hf_rope(const JsonFields& fields, ModelConfig& config) {
  config.rope_theta = fields.has("rope_theta") ? fields.positive("rope_theta") : 10000.0;
  require_whole_heads(fields);
  const JsonFields rope = settings_of(fields);
  require_whole_heads(rope);
  refuse_settings_by_layer(rope);
  if (rope.has("rope_theta")) config.rope_theta = rope.positive("rope_theta");
  RopeScaling& scaling = config.rope_scaling;
  scaling.kind = kind_of(rope);
  if (scaling.kind == Kind::none) return;
  const std::string original = "original_max_position_embeddings";
  scaling.original_positions = rope.has(original) ? rope.size(original) : config.max_positions;
  if (fields.has(original) && fields.value(original) != scaling.original_positions) {
    fields.fail(original, fmt::format("{}, as the rotary settings have it", scaling.original_positions));
  }
  scaling.factor = factor_of(rope, scaling, config.max_positions);
  if (scaling.kind == Kind::llama3) read_llama3(rope, scaling);
  if (scaling.kind == Kind::yarn) read_yarn(rope, scaling);
  config.max_positions = longer_context(rope, scaling, config.max_positions);
}

}  // namespace tide
