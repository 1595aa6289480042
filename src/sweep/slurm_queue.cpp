// Slurm's commands and what they say.

#include <unistd.h>

#include <algorithm>

#include "base/command.h"
#include "base/error.h"
#include "base/text.h"
#include "sweep/slurm.h"

namespace tide {

namespace {

/// What a command says of its failure, in one line.
std::string complaint(const CommandResult& result) {
  std::string text = result.err.empty() ? result.out : result.err;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? fmt::format("exit status {}", result.status) : text;
}

/// The value of KEY=VALUE in a line of scontrol; empty: none.
std::string value_in(const std::string& line, const std::string& key) {
  const auto at = (" " + line).find(" " + key + "=");
  if (at == std::string::npos) return "";
  const auto begin = at + key.size() + 1;
  return line.substr(begin, line.find(' ', begin) - begin);
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

bool SlurmTask::is_held() const {
  // Not what a person holds (JobHeldUser, JobHeldAdmin): that is theirs to release.
  return state == "REQUEUE_HOLD" || reason.find("requeued held") != std::string::npos ||
         reason == "JobHoldMaxRequeue";
}

std::vector<SlurmTask> parse_squeue(std::string_view text) {
  std::vector<SlurmTask> tasks;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(line, '|');
    if (fields.size() != 4 || !is_number(fields[1])) continue;
    tasks.push_back({fields[0], parse_integer(fields[1], "squeue"), fields[2], fields[3]});
  }
  return tasks;
}

std::string array_text(const std::vector<std::int64_t>& shards, std::int64_t at_once) {
  std::string text;
  for (std::size_t i = 0; i < shards.size();) {
    std::size_t last = i;
    while (last + 1 < shards.size() && shards[last + 1] == shards[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(shards[i]);
    if (last > i) text += "-" + std::to_string(shards[last]);
    i = last + 1;
  }
  return at_once > 0 ? fmt::format("{}%{}", text, at_once) : text;
}

SlurmQueue::SlurmQueue(std::string job_name) : job_name_(std::move(job_name)) {
  for (const char* command : {"sbatch", "squeue", "scontrol", "scancel"}) {
    if (!is_program(command))
      fail_input("--launcher slurm: no program '{}' along PATH; expected a machine that submits Slurm jobs",
                 command);
  }
}

std::optional<std::vector<SlurmTask>> SlurmQueue::tasks(std::string& why) const {
  // Filters that a user has set for squeue would hide jobs.
  const auto result = run_command({"env",
                                   "-u",
                                   "SQUEUE_STATES",
                                   "-u",
                                   "SQUEUE_PARTITION",
                                   "-u",
                                   "SQUEUE_ACCOUNT",
                                   "-u",
                                   "SQUEUE_QOS",
                                   "-u",
                                   "SQUEUE_LICENSES",
                                   "-u",
                                   "SQUEUE_SORT",
                                   "squeue",
                                   "--all",
                                   "--noheader",
                                   "--array",
                                   "--name=" + job_name_,
                                   "--user=" + std::to_string(::getuid()),
                                   "--format=%F|%K|%T|%r"});
  if (result.status == 0) return parse_squeue(result.out);
  why = complaint(result);
  return std::nullopt;
}

std::string SlurmQueue::submit(const std::filesystem::path& script, const std::vector<std::int64_t>& shards,
                               std::int64_t at_once) const {
  const auto result =
      // On the command line it wins over the user's SBATCH_JOB_NAME.
      run_command({"sbatch", "--parsable", "--job-name=" + job_name_,
                   "--array=" + array_text(shards, at_once), script.string()});
  if (result.status != 0) fail_input("sbatch {}: {}", script.string(), complaint(result));
  // "JOB" or "JOB;CLUSTER"
  return result.out.substr(0, result.out.find_first_of(";\n"));
}

void SlurmQueue::cancel(const SlurmTask& task) const {
  run_command({"scancel", fmt::format("{}_{}", task.job, task.shard)});
}

std::string SlurmQueue::end_of(const std::string& job, std::int64_t shard) const {
  const auto result =
      run_command({"scontrol", "show", "job", "--oneliner", fmt::format("{}_{}", job, shard)});
  if (result.status != 0) return "";
  const std::string state = value_in(result.out, "JobState"), code = value_in(result.out, "ExitCode");
  return code.empty() || code == "0:0" ? state : fmt::format("{}, exit code {}", state, code);
}

}  // namespace tide
