#pragma once
// Shards as tasks of a Slurm job array: the script that is submitted, and what the queue says.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/slurm_options.h"

namespace tide {

/// What the job's script is made of.
struct SlurmJob {
  std::string name;                   ///< of the job: by it the queue is asked
  std::filesystem::path program;      ///< tidegauge itself
  std::filesystem::path work_folder;  ///< that relative names in the config are seen from
  std::filesystem::path out;          ///< the sweep's folder, absolute
  std::int64_t n_shards = 0;
  SlurmOptions options;
};

/// A name for the jobs that run a folder's shards: the same for the same folder.
std::string slurm_job_name(const std::filesystem::path& out);

/// The script, array tasks being shards. Throws InputError: a memory that is none, a path with a line break
/// or a quote.
std::string slurm_script(const SlurmJob& job);

/// Where a shard's job writes what it says.
std::filesystem::path slurm_log(const std::filesystem::path& out, std::int64_t shard);

/// One array task that Slurm has not done with.
struct SlurmTask {
  std::string job;  ///< the array's number
  std::int64_t shard = 0;
  std::string state;   ///< PENDING, RUNNING, …
  std::string reason;  ///< why it waits

  /// It waits for a person: its launch failed, or Slurm has started it too often.
  bool is_held() const;
};

/// Lines of `squeue --format='%F|%K|%T|%r'`; others are left out.
std::vector<SlurmTask> parse_squeue(std::string_view text);

/// `1-3,7`: shards as an array's indices; `at_once`: `%N` behind them.
std::string array_text(const std::vector<std::int64_t>& shards, std::int64_t at_once);

/// Slurm as this machine reaches it, by its commands.
class SlurmQueue {
 public:
  /// Throws InputError when a command of Slurm is not there.
  explicit SlurmQueue(std::string job_name);

  /// The tasks of this name; nothing: Slurm does not answer now (`why` says how).
  std::optional<std::vector<SlurmTask>> tasks(std::string& why) const;
  /// Submits shards; the array's number. Throws InputError with what sbatch says.
  std::string submit(const std::filesystem::path& script, const std::vector<std::int64_t>& shards,
                     std::int64_t at_once) const;
  void cancel(const SlurmTask& task) const;
  /// How a task ended, while Slurm remembers: "NODE_FAIL", "FAILED, exit code 2".
  std::string end_of(const std::string& job, std::int64_t shard) const;

 private:
  std::string job_name_;
};

}  // namespace tide
