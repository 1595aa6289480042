#pragma once
// What a user says of the cluster: the table [slurm] of a config.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tide {

/// Of each shard's job. Empty texts and zeros leave the choice to the cluster.
struct SlurmOptions {
  std::string partition, time, memory, account, qos, constraint;  ///< as sbatch takes them
  std::int64_t cpus = 0;
  std::vector<std::string> modules;  ///< loaded before the program starts
  std::vector<std::string> sbatch;   ///< further options of sbatch, as "--gres=gpu:1"
  std::vector<std::string> setup;    ///< lines of shell before the program starts

  std::int64_t shards = 0;   ///< 0: one a prompt, 16 at most
  std::int64_t at_once = 0;  ///< shards that run at a time; 0: as many as the cluster lets
  std::int64_t retries = 3;  ///< times that a shard is submitted again, at most
  std::int64_t poll_s = 10;  ///< seconds between looks at the queue
};

/// A file that holds a table [slurm] and nothing else. Throws InputError naming file, line and key.
SlurmOptions load_slurm_options(const std::filesystem::path& file);

}  // namespace tide
