#pragma once
// What a sweep is: tasks x lengths x depths x samples x seeds, under every policy of a grid.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sweep/slurm_options.h"

namespace tide {

struct SweepConfig {
  // The model, as every command that decodes takes it.
  std::string model;         ///< checkpoint; empty: the installed default
  std::string model_sha256;  ///< checked when given; written into the resolved config
  std::string dtype = "bf16", kv_dtype = "bf16", device = "cpu";
  bool raw = false;  ///< no chat template

  std::vector<std::string> tasks = {"needle"};
  std::vector<std::int64_t> lengths = {1024};              ///< tokens of the prompt
  std::vector<double> depths = {0.1, 0.3, 0.5, 0.7, 0.9};  ///< for tasks that have a depth
  std::int64_t samples = 5;                                ///< of each task, length, depth and seed
  std::vector<std::int64_t> seeds = {0};
  std::string text;  ///< running text; empty: the King James Bible

  std::vector<std::string> policies;  ///< one spec a configuration, alternatives expanded

  std::int64_t new_tokens = 0;  ///< at most; 0: the task's own
  /// "prefilled": the question is in the dense prefill; "decoded": it is decoded under the policy, token by
  /// token, after a prefill of the text alone.
  std::string question = "prefilled";
  bool output_error = false;  ///< by layer, beside the other teacher-forced measures
  std::int64_t batch = 64;    ///< rows decoded together at most; fewer where memory holds no more
  std::string memory;         ///< that the process may take ("8GB"); empty: what the machine has available

  std::int64_t latency_steps = 0;  ///< timed steps a policy and length at batch 1; 0: latency is not measured
  std::vector<std::int64_t> latency_lengths = {1024};

  std::map<std::string, std::string> files;  ///< SHA-256 of the files that policies name; checked when given

  SlurmOptions slurm;  ///< where shards run: decides no row, and is not in the resolved config
};

/// `key=value` settings on top of a config; a list takes commas. `policies` replaces the file's and its grid.
using Settings = std::vector<std::pair<std::string, std::vector<std::string>>>;

/// Reads a TOML file (none: defaults alone) and lays the settings over it. Throws InputError naming
/// file, line and key: an unknown key (with the nearest one), a value of another kind or out of range,
/// an empty grid.
SweepConfig load_sweep_config(const std::optional<std::filesystem::path>& file, const Settings& settings);

/// The keys a config may have.
const std::vector<std::string>& sweep_config_keys();

/// The config as TOML that load_sweep_config reads: what is saved beside the results.
std::string to_toml(const SweepConfig& config);

/// What of a resolved config decides its rows: the text without lines that decide speed and memory alone.
std::string fingerprint(const std::string& config_toml);

/// `tidal:budget=32|64,select=2+8|2+14` -> the four specs. Throws InputError: an empty alternative.
std::vector<std::string> expand_spec(const std::string& spec);

}  // namespace tide
