// The script that runs a shard on a node.

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "sweep/shard.h"
#include "sweep/slurm.h"

namespace tide {

namespace {

namespace fs = std::filesystem;

/// A path in a line that sbatch reads: in double quotes.
std::string for_sbatch(const fs::path& path) {
  const std::string text = path.string();
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '"' || c == '\\')
      fail_input("path '{}': holds a quote, a backslash or a line break, which a Slurm job cannot name",
                 text);
  }
  return '"' + text + '"';
}

/// The same where Slurm replaces %a and others.
std::string for_pattern(const fs::path& folder, const std::string& pattern) {
  std::string text;
  for (const char c : folder.string()) text += c == '%' ? std::string("%%") : std::string(1, c);
  return for_sbatch(fs::path(text) / pattern);
}

/// A word of the shell.
std::string for_shell(const fs::path& path) {
  std::string text = "'";
  for (const char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// Nine tenths of the job's memory: Slurm counts what the program does not, and ends it at the limit.
std::string memory_option(const std::string& memory) {
  if (memory.empty()) return "";
  const bool plain = memory.find_first_not_of("0123456789") == std::string::npos;  // megabytes, to sbatch
  const auto bytes = parse_bytes(plain ? memory + "M" : memory, "key 'memory' in [slurm]");
  return fmt::format(" --memory {}", bytes / 10 * 9);
}

}  // namespace

std::string slurm_job_name(const fs::path& out) {
  return "tidegauge-" + sha256_of(fs::weakly_canonical(out).string()).substr(0, 10);
}

fs::path slurm_log(const fs::path& out, std::int64_t shard) {
  return shards_folder(out) / "log" / fmt::format("shard-{}.log", shard);
}

std::string slurm_script(const SlurmJob& job) {
  const SlurmOptions& options = job.options;
  std::string text = fmt::format(
      "#!/bin/bash\n"
      "# One shard of a sweep, an array task each, as `tidegauge sweep --launcher slurm` submits them. By "
      "hand:\n"
      "#   sbatch --array=1-{} job.sbatch\n",
      job.n_shards);
  const auto add = [&](const std::string& option) { text += "#SBATCH " + option + "\n"; };
  const auto add_if = [&](const char* name, const std::string& value) {
    if (!value.empty()) add(fmt::format("--{}={}", name, value));
  };
  add("--job-name=" + job.name);
  add("--chdir=" + for_sbatch(job.work_folder));
  add("--output=" + for_pattern(shards_folder(job.out) / "log", "shard-%a.log"));
  add("--open-mode=append");
  add("--nodes=1");
  add("--ntasks=1");
  add("--requeue");
  add_if("partition", options.partition);
  add_if("time", options.time);
  add_if("mem", options.memory);
  if (options.cpus > 0) add(fmt::format("--cpus-per-task={}", options.cpus));
  add_if("account", options.account);
  add_if("qos", options.qos);
  add_if("constraint", options.constraint);
  for (const std::string& option : options.sbatch) add(option);
  text += "\n";
  for (const std::string& module : options.modules) text += "module load " + module + " || exit 1\n";
  for (const std::string& line : options.setup) text += line + "\n";
  text += "echo \"shard $SLURM_ARRAY_TASK_ID, job $SLURM_ARRAY_JOB_ID on $SLURMD_NODENAME, $(date)\"\n";
  text += fmt::format(
      "exec {} sweep --config {} --out {} \\\n"
      "  --shard \"$SLURM_ARRAY_TASK_ID/{}\" "
      "--threads \"${{SLURM_CPUS_PER_TASK:-${{SLURM_CPUS_ON_NODE:-0}}}}\"{}\n",
      for_shell(job.program), for_shell(job.out / "config.toml"), for_shell(job.out), job.n_shards,
      memory_option(options.memory));
  return text;
}

}  // namespace tide
