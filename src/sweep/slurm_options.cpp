#include "sweep/slurm_options.h"

#include "base/file.h"
#include "sweep/slurm_table.h"
#include "sweep/toml_reader.h"

namespace tide {

namespace {

const std::vector<std::string>& keys() {
  static const std::vector<std::string> kKeys = {"partition",  "time",    "memory",  "account", "qos",
                                                 "constraint", "cpus",    "modules", "sbatch",  "setup",
                                                 "shards",     "at_once", "retries", "poll_s"};
  return kKeys;
}

/// What stands in a line of the job's script must be one line.
void check_line(const std::string& where, const char* key, const std::string& text) {
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\0')
      fail_input("{}: key '{}' in [slurm]: holds a line break", where, key);
  }
}

/// Options that the launcher gives itself: others in their place would hide its jobs from it.
void check_is_free(const std::string& where, const std::string& option) {
  const std::string name = option.substr(0, option.find_first_of("= "));
  for (const char* ours :
       {"--array", "-a", "--job-name", "-J", "--output", "-o", "--chdir", "-D", "--open-mode", "--hold", "-H",
        "--wrap", "--clusters", "-M", "--no-requeue", "--parsable"}) {
    const bool is_short = ours[1] != '-';
    if (name == ours || (is_short && !name.starts_with("--") && name.starts_with(ours)))
      fail_input("{}: key 'sbatch' in [slurm]: '{}' is set by the launcher itself", where, option);
  }
}

}  // namespace

SlurmOptions read_slurm_options(const toml::table& table, const std::string& where) {
  const TomlReader reader(table, where);
  reader.check_keys(keys());
  SlurmOptions options;
  const auto text = [&](const char* key, std::string& value) {
    reader.read_scalar(key, value);
    check_line(where, key, value);
  };
  const auto lines = [&](const char* key, std::vector<std::string>& values) {
    reader.read(key, values);
    for (const std::string& value : values) check_line(where, key, value);
  };
  text("partition", options.partition);
  text("time", options.time);
  text("memory", options.memory);
  text("account", options.account);
  text("qos", options.qos);
  text("constraint", options.constraint);
  lines("modules", options.modules);
  lines("sbatch", options.sbatch);
  lines("setup", options.setup);
  for (const std::string& option : options.sbatch) {
    if (!option.starts_with('-'))
      fail_input("{}: key 'sbatch' in [slurm]: '{}', expected an option such as \"--gres=gpu:1\"", where,
                 option);
    check_is_free(where, option);
  }
  constexpr std::int64_t kMost = 1'000'000;
  reader.read("cpus", options.cpus, 0, kMost);
  reader.read("shards", options.shards, 0, kMost);
  reader.read("at_once", options.at_once, 0, kMost);
  reader.read("retries", options.retries, 0, 1000);
  reader.read("poll_s", options.poll_s, 1, 3600);
  return options;
}

SlurmOptions load_slurm_options(const std::filesystem::path& file) {
  const std::string where = file.string();
  try {
    const toml::table table = toml::parse(read_text(file), where);
    TomlReader(table, where).check_keys({"slurm"});
    const auto* slurm = table["slurm"].as_table();
    if (slurm == nullptr) fail_input("{}: has no table [slurm]", where);
    return read_slurm_options(*slurm, where);
  } catch (const toml::parse_error& error) {
    fail_input("{}, line {}: {}", where, error.source().begin.line, error.description());
  }
}

}  // namespace tide
