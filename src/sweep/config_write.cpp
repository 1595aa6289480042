// The resolved config as TOML. Written by hand: toml++ prints 0.1 with 17 digits.

#include <fmt/format.h>

#include "base/text.h"
#include "sweep/config.h"

namespace tide {

namespace {

/// A text as a TOML basic string.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string whole(std::int64_t value) { return std::to_string(value); }

/// The shortest decimal that reads back the same; TOML wants a point or an exponent in it.
std::string real(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

/// One line, or a line an item where items are long.
template <typename T, typename Write>
std::string list_of(const std::vector<T>& values, const Write& write) {
  std::string one_line, lines;
  for (const T& value : values) {
    one_line += (one_line.empty() ? "" : ", ");
    one_line += write(value);
    lines += fmt::format("  {},\n", write(value));
  }
  return one_line.size() <= 80 ? fmt::format("[{}]", one_line) : fmt::format("[\n{}]", lines);
}

}  // namespace

std::string to_toml(const SweepConfig& config) {
  std::string text = "# tidegauge sweep\n";
  const auto add = [&](const char* key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (!config.model.empty()) add("model", quoted(config.model));
  add("model_sha256", quoted(config.model_sha256));
  add("dtype", quoted(config.dtype));
  add("kv_dtype", quoted(config.kv_dtype));
  add("device", quoted(config.device));
  add("raw", config.raw ? "true" : "false");
  add("tasks", list_of(config.tasks, quoted));
  add("lengths", list_of(config.lengths, whole));
  add("depths", list_of(config.depths, real));
  add("samples", whole(config.samples));
  add("seeds", list_of(config.seeds, whole));
  if (!config.text.empty()) add("text", quoted(config.text));
  add("policies", list_of(config.policies, quoted));
  add("new_tokens", whole(config.new_tokens));
  add("question", quoted(config.question));
  add("output_error", config.output_error ? "true" : "false");
  add("batch", whole(config.batch));
  if (!config.memory.empty()) add("memory", quoted(config.memory));
  add("latency_steps", whole(config.latency_steps));
  add("latency_lengths", list_of(config.latency_lengths, whole));
  if (!config.files.empty()) text += "\n[files]\n";
  for (const auto& [file, digest] : config.files) add(quoted(file).c_str(), quoted(digest));
  return text;
}

std::string fingerprint(const std::string& config_toml) {
  std::string text;
  for (const std::string& line : split(config_toml, '\n')) {
    if (!line.starts_with("batch = ") && !line.starts_with("memory = ")) text += line + "\n";
  }
  return text;
}

}  // namespace tide
