#include "sweep/config.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/spec.h"
#include "base/text.h"
#include "sweep/slurm_table.h"
#include "sweep/toml_reader.h"

namespace tide {

namespace {

std::vector<std::string> expand_specs(const std::vector<std::string>& specs) {
  std::vector<std::string> expanded;
  for (const std::string& spec : specs) {
    for (std::string& one : expand_spec(spec)) expanded.push_back(std::move(one));
  }
  return expanded;
}

/// `[[grid]]`: `policy` and fields that may be lists -> one spec with alternatives.
std::string grid_spec(const toml::table& grid, const TomlReader& reader) {
  const auto alternatives = [&](const toml::node& node, std::string_view key) {
    if (!node.is_array()) return reader.scalar(node, key);
    std::string joined;
    for (const toml::node& item : *node.as_array()) {
      if (!joined.empty()) joined += '|';
      joined += reader.scalar(item, key);
    }
    if (joined.empty()) reader.fail(node, key, "at least one value (the grid is empty)");
    return joined;
  };
  const auto* policy = grid.get("policy");
  if (policy == nullptr) reader.fail(grid, "grid", "a field 'policy' with a policy's name");
  std::string spec = alternatives(*policy, "policy");
  char separator = ':';
  for (const auto& [key, node] : grid) {
    if (key.str() == "policy") continue;
    spec += separator + std::string(key.str()) + "=" + alternatives(node, key.str());
    separator = ',';
  }
  return spec;
}

void read_policies(const toml::table& table, const TomlReader& reader, SweepConfig& config) {
  std::vector<std::string> specs;
  if (table.contains("policies")) reader.read("policies", specs);
  if (const auto* grids = table.get("grid")) {
    if (!grids->is_array_of_tables()) reader.fail(*grids, "grid", "tables, each under [[grid]]");
    for (const toml::node& grid : *grids->as_array()) specs.push_back(grid_spec(*grid.as_table(), reader));
  }
  config.policies = expand_specs(specs);
}

SweepConfig read_config(const toml::table& table, const std::string& where) {
  const TomlReader reader(table, where);
  reader.check_keys(sweep_config_keys());
  constexpr std::int64_t kMany = 1'000'000'000;
  SweepConfig config;
  reader.read("model", config.model);
  reader.read("model_sha256", config.model_sha256);
  reader.read("dtype", config.dtype);
  reader.read("kv_dtype", config.kv_dtype);
  reader.read("device", config.device);
  reader.read("raw", config.raw);
  reader.read("tasks", config.tasks);
  config.tasks = expand_specs(config.tasks);
  reader.read("lengths", config.lengths, 1, kMany);
  reader.read("depths", config.depths, 0.0, 1.0);
  reader.read("samples", config.samples, 1, kMany);
  reader.read("seeds", config.seeds, 0, std::numeric_limits<std::int64_t>::max());
  reader.read("text", config.text);
  read_policies(table, reader, config);
  reader.read("new_tokens", config.new_tokens, 0, kMany);
  reader.read("question", config.question);
  if (config.question != "prefilled" && config.question != "decoded") {
    fail_input("{}: key 'question': '{}', expected prefilled or decoded", where, config.question);
  }
  reader.read("output_error", config.output_error);
  reader.read("batch", config.batch, 1, 4096);
  reader.read_scalar("memory", config.memory);
  if (!config.memory.empty()) parse_bytes(config.memory, where + ": key 'memory'");
  reader.read("latency_steps", config.latency_steps, 0, kMany);
  reader.read("latency_lengths", config.latency_lengths, 1, kMany);
  if (const auto* files = table.get("files")) {
    if (!files->is_table()) reader.fail(*files, "files", "a table of file = \"SHA-256\"");
    for (const auto& [file, digest] : *files->as_table())
      config.files[std::string(file.str())] = reader.scalar(digest, file.str());
  }
  if (const auto* slurm = table.get("slurm")) {
    if (!slurm->is_table()) reader.fail(*slurm, "slurm", "a table [slurm]");
    config.slurm = read_slurm_options(*slurm->as_table(), where);
  }
  if (config.policies.empty())
    fail_input("{}: the grid is empty: no policy in 'policies' or under [[grid]]", where);
  return config;
}

bool is_list(const std::string& key) {
  static const std::vector<std::string> kLists = {"tasks",           "lengths", "depths", "seeds", "policies",
                                                  "latency_lengths", "modules", "sbatch", "setup"};
  return std::find(kLists.begin(), kLists.end(), key) != kLists.end();
}

/// `key = value` with the value as TOML where it is that, else as a text.
void assign(toml::table& table, const std::string& key, const std::string& value) {
  try {
    const auto parsed =
        toml::parse("value = " + (is_list(key) && !value.starts_with('[') ? "[" + value + "]" : value));
    table.insert_or_assign(key, *parsed.get("value"));
  } catch (const toml::parse_error&) {
    if (!is_list(key)) {
      table.insert_or_assign(key, value);
      return;
    }
    toml::array list;
    for (const std::string& item : split_specs(value)) list.push_back(item);
    table.insert_or_assign(key, list);
  }
}

/// A table within a table, made when it is not there.
toml::table& table_in(toml::table& table, const std::string& key, const std::string& where) {
  if (!table.contains(key)) table.insert(key, toml::table());
  if (!table[key].is_table()) fail_input("{}: key '{}': expected a table [{}]", where, key, key);
  return *table[key].as_table();
}

void apply(toml::table& table, const Settings& settings, const std::string& where) {
  for (const auto& [key, values] : settings) {
    if (key.starts_with("slurm.")) {
      for (const std::string& value : values) assign(table_in(table, "slurm", where), key.substr(6), value);
    } else if (key == "policies") {
      toml::array list;
      for (const std::string& spec : values) list.push_back(spec);
      table.insert_or_assign(key, list);
      table.erase("grid");
    } else {
      for (const std::string& value : values) assign(table, key, value);
    }
  }
}

}  // namespace

const std::vector<std::string>& sweep_config_keys() {
  static const std::vector<std::string> kKeys = {
      "model",    "model_sha256", "dtype",    "kv_dtype",      "device",
      "raw",      "tasks",        "lengths",  "depths",        "samples",
      "seeds",    "text",         "policies", "grid",          "new_tokens",
      "question", "output_error", "batch",    "latency_steps", "latency_lengths",
      "files",    "memory",       "slurm"};
  return kKeys;
}

SweepConfig load_sweep_config(const std::optional<std::filesystem::path>& file, const Settings& settings) {
  const std::string where = file ? file->string() : "sweep";
  toml::table table;
  try {
    if (file) table = toml::parse(read_text(*file), where);
  } catch (const toml::parse_error& error) {
    fail_input("{}, line {}: {}", where, error.source().begin.line, error.description());
  }
  apply(table, settings, where);
  return read_config(table, where);
}

std::vector<std::string> expand_spec(const std::string& spec) {
  // Cut into pieces at ':', ',' and '=' with the delimiters kept, then multiply the alternatives out.
  std::vector<std::string> specs(1);
  std::size_t at = 0;
  while (at <= spec.size()) {
    const auto end = std::min(spec.find_first_of(":,=", at), spec.size());
    const auto alternatives = split(std::string_view(spec).substr(at, end - at), '|');
    std::vector<std::string> longer;
    for (const std::string& begun : specs) {
      for (const std::string& alternative : alternatives) {
        if (alternative.empty()) fail_input("'{}': an alternative between '|' is empty", spec);
        longer.push_back(begun + alternative + (end < spec.size() ? spec.substr(end, 1) : ""));
      }
    }
    specs = std::move(longer);
    at = end + 1;
  }
  return specs;
}

}  // namespace tide
