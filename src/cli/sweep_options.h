#pragma once
// What `tidegauge sweep` was asked for.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"

namespace tide::cli {

struct SweepOptions {
  ModelOptions model;
  std::optional<std::filesystem::path> config;
  std::filesystem::path out;
  std::vector<std::string> set, policies;
  bool dry_run = false, force = false, json = false, output_error = false;

  std::string shard;               ///< "3/16"; empty: all rows
  bool merge = false;              ///< shards that have been run become one result
  std::string launcher = "local";  ///< or slurm
  std::optional<std::filesystem::path> slurm;
};

}  // namespace tide::cli
