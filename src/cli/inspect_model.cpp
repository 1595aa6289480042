#include "cli/inspect_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "model/describe.h"

namespace tide::cli {

namespace {

using kernels::DType;
using nlohmann::json;

constexpr std::array<std::pair<const char*, DType>, 2> kCacheTypes = {
    {{"bf16", DType::bf16}, {"fp32", DType::f32}}};

/// Lengths at which the cache is told: some usual ones, and the model's own.
std::set<std::int64_t> lengths(const ModelConfig& config) {
  std::set<std::int64_t> lengths = {config.max_positions};
  for (const std::int64_t length : {1024, 8192, 32768, 131072}) {
    if (length < config.max_positions) lengths.insert(length);
  }
  return lengths;
}

const char* name_of(RopeScaling::Kind kind) {
  switch (kind) {
    case RopeScaling::Kind::none:
      return "none";
    case RopeScaling::Kind::linear:
      return "linear";
    case RopeScaling::Kind::llama3:
      return "llama3";
    case RopeScaling::Kind::yarn:
      return "yarn";
  }
  return "";
}

/// The sliding windows, each with its number of layers.
std::map<std::int64_t, int> windows(const ModelConfig& config) {
  std::map<std::int64_t, int> layers;
  for (int layer = 0; layer < config.n_layers; ++layer) ++layers[config.window_of(layer)];
  layers.erase(0);
  return layers;
}

json config_json(const ModelConfig& config) {
  json result = {{"architecture", config.architecture}, {"name", config.name},
                 {"n_layers", config.n_layers},         {"n_heads", config.n_heads},
                 {"n_kv_heads", config.n_kv_heads},     {"head_dim", config.head_dim},
                 {"hidden_size", config.hidden_size},   {"ffn_size", config.ffn_size},
                 {"vocab_size", config.vocab_size},     {"max_positions", config.max_positions},
                 {"rope_theta", config.rope_theta},     {"rope_scaling", name_of(config.rope_scaling.kind)},
                 {"rms_epsilon", config.rms_epsilon},   {"qkv_bias", config.qkv_bias},
                 {"qk_norm", config.qk_norm},           {"windows", json::array()}};
  for (const auto& [width, layers] : windows(config)) {
    result["windows"].push_back({{"positions", width}, {"layers", layers}});
  }
  return result;
}

json cache_json(const ModelConfig& config) {
  json result = json::array();
  for (const std::int64_t length : lengths(config)) {
    json row = {{"length", length}};
    for (const auto& [name, dtype] : kCacheTypes) row[name] = length * kv_bytes_a_position(config, dtype);
    result.push_back(row);
  }
  return result;
}

json to_json(const std::filesystem::path& path, const ModelFacts& facts) {
  json result = {{"file", path.string()},     {"kind", "model"},
                 {"format", facts.format},    {"bytes", facts.file_bytes},
                 {"loads", facts.loads()},    {"stored", json::array()},
                 {"written", json::object()}, {"weights_bytes", json::object()},
                 {"refusals", json::array()}};
  for (const auto& [key, value] : facts.written) result["written"][key] = value;
  for (const StoredKind& kind : facts.stored) {
    result["stored"].push_back(
        {{"type", kind.type}, {"tensors", kind.tensors}, {"weights", kind.weights}, {"bytes", kind.bytes}});
  }
  for (const auto& [type, bytes] : facts.in_memory) result["weights_bytes"][name_of(type)] = bytes;
  for (const Refusal& refusal : facts.refusals) {
    result["refusals"].push_back({{"what", refusal.what}, {"message", refusal.message}});
  }
  if (facts.config) {
    result["config"] = config_json(*facts.config);
    result["kv_cache_bytes"] = cache_json(*facts.config);
  }
  if (facts.tokenizer) {
    result["tokenizer"] = {{"tokens", facts.tokenizer->tokens},
                           {"bos_id", facts.tokenizer->bos_id},
                           {"add_bos", facts.tokenizer->add_bos}};
  }
  return result;
}

std::string human(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

void print_line(const char* name, const std::string& text) {
  std::printf("  %-16s %s\n", name, text.c_str());
}

void print_config(const ModelConfig& config) {
  const char* kind = config.n_kv_heads == config.n_heads ? "multi-head"
                     : config.n_kv_heads == 1            ? "multi-query"
                                                         : "grouped-query";
  print_line("architecture", fmt::format("{}, '{}'", config.architecture, config.name));
  print_line("layers", fmt::format("{} of hidden size {}, feed-forward {}", config.n_layers,
                                   config.hidden_size, config.ffn_size));
  print_line("attention", fmt::format("{}: {} heads of {} over {} KV heads{}{}", kind, config.n_heads,
                                      config.head_dim, config.n_kv_heads, config.qkv_bias ? ", QKV bias" : "",
                                      config.qk_norm ? ", QK norm" : ""));
  for (const auto& [width, layers] : windows(config)) {
    print_line("sliding window",
               fmt::format("{} positions in {} of {} layers", width, layers, config.n_layers));
  }
  print_line("positions", fmt::format("{}, rotary theta {:g}, scaling {}", config.max_positions,
                                      config.rope_theta, name_of(config.rope_scaling.kind)));
}

void print_sizes(const ModelFacts& facts) {
  std::vector<std::string> kinds, in_memory;
  std::int64_t weights = 0;
  for (const StoredKind& kind : facts.stored) {
    weights += kind.weights;
    kinds.push_back(fmt::format("{} in {} tensors of {}", human(kind.bytes), kind.tensors, kind.type));
  }
  if (!kinds.empty())
    print_line("weights",
               fmt::format("{:.1f} million: {}", static_cast<double>(weights) / 1e6, fmt::join(kinds, ", ")));
  for (const auto& [type, bytes] : facts.in_memory)
    in_memory.push_back(fmt::format("{} {}", name_of(type), human(bytes)));
  if (!in_memory.empty()) print_line("in memory", fmt::format("{}", fmt::join(in_memory, ", ")));
  if (!facts.config) return;
  for (const auto& [name, dtype] : kCacheTypes) {
    const std::int64_t a_position = kv_bytes_a_position(*facts.config, dtype);
    std::vector<std::string> sizes;
    for (const std::int64_t length : lengths(*facts.config)) {
      sizes.push_back(
          fmt::format("{} at {}", human(static_cast<std::uint64_t>(length * a_position)), length));
    }
    print_line(fmt::format("KV cache {}", name).c_str(),
               fmt::format("{} a position; {}", human(static_cast<std::uint64_t>(a_position)),
                           fmt::join(sizes, ", ")));
  }
}

void print_text(const std::filesystem::path& path, const ModelFacts& facts) {
  std::printf("%s: model, %s, %s\n", path.c_str(), facts.format.c_str(), human(facts.file_bytes).c_str());
  if (facts.config) {
    print_config(*facts.config);
  } else {
    for (const auto& [key, value] : facts.written) print_line(key.c_str(), value);
  }
  print_sizes(facts);
  if (facts.tokenizer) print_line("tokenizer", fmt::format("{} tokens", facts.tokenizer->tokens));
  for (const Refusal& refusal : facts.refusals) {
    std::printf("  REFUSED %s: %s\n", refusal.what.c_str(), refusal.message.c_str());
  }
  if (facts.loads()) std::printf("loads\n");
}

}  // namespace

void inspect_model(const std::filesystem::path& path, bool json) {
  const ModelFacts facts = describe_model(path);
  if (json) {
    print_json(to_json(path, facts));
  } else {
    print_text(path, facts);
  }
  for (const Refusal& refusal : facts.refusals) {
    if (refusal.what == "loading") fail_input("inspect: does not load: {}", refusal.message);
  }
}

}  // namespace tide::cli
