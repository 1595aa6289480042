#include "cli/sweep_slurm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "cli/sweep_folder.h"
#include "cli/sweep_shards.h"
#include "sweep/slurm.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

/// What is known of one shard.
struct Watched {
  ShardState state;
  std::string job;           ///< that runs it, or ran it last; empty: none that we know of
  std::int64_t submits = 0;  ///< by this run, or before it and still in the queue then
  bool given_up = false;
};

void wait_s(std::int64_t seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!interrupted() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

/// The log's last line; what a shard said before it ended.
std::string last_words(const fs::path& log) {
  if (!fs::exists(log)) return "no log";
  std::string text = read_text(log);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

/// The shards of a sweep while Slurm runs them.
class Launch {
 public:
  Launch(const fs::path& out, const SlurmOptions& slurm, const ShardedSweep& sweep)
      : out_(out),
        slurm_(slurm),
        sweep_(sweep),
        name_(slurm_job_name(out)),
        queue_(name_),
        shards_(static_cast<std::size_t>(sweep.count())) {}

  /// Until every shard is complete or given up, or a signal.
  void run();
  bool complete() const {
    return std::all_of(shards_.begin(), shards_.end(),
                       [](const Watched& shard) { return shard.state.complete; });
  }
  std::int64_t found() const;
  const std::string& name() const { return name_; }
  std::int64_t submitted() const { return submitted_; }
  std::int64_t resubmitted() const { return resubmitted_; }
  /// Throws WorkError: the shards that were given up, with what the first of them said.
  [[noreturn]] void fail() const;

 private:
  using Tasks = std::vector<SlurmTask>;
  std::optional<Tasks> queue();
  /// Submits the shards that nobody runs; false: nothing is left to wait for.
  bool advance(const Tasks& tasks);
  void note_queued(const Tasks& tasks);
  bool wants_submit(std::int64_t index);
  void submit(const std::vector<std::int64_t>& indices);
  void show(const Tasks& tasks);
  void say(const std::string& line);
  Watched& at(std::int64_t index) { return shards_[static_cast<std::size_t>(index - 1)]; }
  fs::path script() const { return shards_folder(out_) / "job.sbatch"; }

  fs::path out_;
  const SlurmOptions& slurm_;
  const ShardedSweep& sweep_;
  std::string name_;
  SlurmQueue queue_;
  std::vector<Watched> shards_;
  Progress progress_{"rows"};
  std::int64_t submitted_ = 0, resubmitted_ = 0;
  bool answers_ = true;
};

void Launch::say(const std::string& line) {
  progress_.clear();
  fmt::print(stderr, "tidegauge: {}\n", line);
}

std::optional<Launch::Tasks> Launch::queue() {
  std::string why;
  auto tasks = queue_.tasks(why);
  if (!tasks && answers_) say("Slurm does not answer: " + why + "; asking on");
  if (tasks && !answers_) say("Slurm answers again");
  answers_ = tasks.has_value();
  return tasks;
}

void Launch::note_queued(const Tasks& tasks) {
  for (const SlurmTask& task : tasks) {
    if (task.shard < 1 || task.shard > sweep_.count()) continue;
    Watched& shard = at(task.shard);
    if (shard.submits == 0) shard.submits = 1;  // by an earlier call
    shard.job = task.job;
  }
}

/// A shard that is not complete and that nobody runs: whether it gets another job.
bool Launch::wants_submit(std::int64_t index) {
  Watched& shard = at(index);
  if (shard.given_up) return false;
  if (shard.submits == 0) return true;
  const std::string end = queue_.end_of(shard.job, index);
  const std::string told = fmt::format(
      "shard {}: job {}_{} ended{} with {} of {} rows", Shard{index, sweep_.count()}.text(), shard.job, index,
      end.empty() ? "" : " (" + end + ")", shard.state.found, shard.state.planned);
  if (shard.submits > slurm_.retries) {
    shard.given_up = true;
    say(fmt::format("{}; given up after {} jobs, see {}", told, shard.submits,
                    slurm_log(out_, index).string()));
    return false;
  }
  say(fmt::format("{}; submitted again ({} of {} times)", told, shard.submits, slurm_.retries));
  return true;
}

void Launch::submit(const std::vector<std::int64_t>& indices) {
  std::string job;
  try {
    job = queue_.submit(script(), indices, slurm_.at_once);
  } catch (const InputError& error) {
    // At first it is the user's; later the cluster may be at fault, and that passes.
    if (submitted_ == 0) throw;
    say(error.what());
  }
  for (const std::int64_t index : indices) {
    Watched& shard = at(index);
    (shard.submits == 0 ? submitted_ : resubmitted_) += 1;
    ++shard.submits;
    if (!job.empty()) shard.job = job;
  }
  if (!job.empty())
    say(fmt::format("job {} ({}): shards {} of {}", job, name_, array_text(indices, 0), sweep_.count()));
}

bool Launch::advance(const Tasks& tasks) {
  note_queued(tasks);
  std::vector<std::int64_t> wanted;
  bool running = false;
  for (std::int64_t index = 1; index <= sweep_.count(); ++index) {
    at(index).state = look_at_shard(out_, sweep_, index);
    const auto task =
        std::find_if(tasks.begin(), tasks.end(), [&](const SlurmTask& one) { return one.shard == index; });
    if (task != tasks.end() && !task->is_held()) {
      running = true;
    } else if (!at(index).state.complete) {
      if (task != tasks.end()) queue_.cancel(*task);
      if (wants_submit(index)) wanted.push_back(index);
    }
  }
  if (!wanted.empty()) submit(wanted);
  return running || !wanted.empty();
}

std::int64_t Launch::found() const {
  std::int64_t found = 0;
  for (const Watched& shard : shards_) found += shard.state.found;
  return found;
}

void Launch::show(const Tasks& tasks) {
  std::map<std::string, std::int64_t> states;
  std::string reason;
  for (const SlurmTask& task : tasks) {
    ++states[task.state];
    if (task.state == "PENDING") reason = task.reason;
  }
  const auto done = std::count_if(shards_.begin(), shards_.end(),
                                  [](const Watched& shard) { return shard.state.complete; });
  std::string label = fmt::format("shards: {} of {} done", done, sweep_.count());
  for (const auto& [state, n] : states)
    label += fmt::format(", {} {}{}", n, state, state == "PENDING" ? " (" + reason + ")" : "");
  progress_.relabel(label + "; rows");
  progress_.update(found(), std::ssize(sweep_.keys));
}

void Launch::run() {
  while (!interrupted()) {
    if (const auto tasks = queue()) {
      if (!advance(*tasks)) return;
      show(*tasks);
    }
    wait_s(slurm_.poll_s);
  }
}

void Launch::fail() const {
  const auto given_up =
      std::count_if(shards_.begin(), shards_.end(), [](const Watched& s) { return s.given_up; });
  const auto first =
      std::find_if(shards_.begin(), shards_.end(), [](const Watched& s) { return s.given_up; });
  const auto index = first - shards_.begin() + 1;
  fail_work(
      "{} of {} shards failed in {} jobs each; shard {} ended with: {} ({}); the same command tries again",
      given_up, sweep_.count(), first->submits, index, last_words(slurm_log(out_, index)),
      slurm_log(out_, index).string());
}

fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

std::string script_of(const fs::path& out, const SlurmOptions& slurm, const ShardedSweep& sweep) {
  return slurm_script({slurm_job_name(out), this_program(), fs::current_path(), out, sweep.count(), slurm});
}

/// Folders of all shards, so that their number is the folder's from now on, and what Slurm is given.
void write_job(const fs::path& out, const std::string& script, const ShardedSweep& sweep) {
  for (std::int64_t index = 1; index <= sweep.count(); ++index)
    fs::create_directories(shard_folder(out, {index, sweep.count()}));
  fs::create_directories(slurm_log(out, 1).parent_path());
  write_text_atomically(shards_folder(out) / "job.sbatch", script);
}

/// After a refusal: shards that nothing was written into do not decide how the sweep is cut.
void remove_empty_shards(const fs::path& out, const ShardedSweep& sweep) {
  std::error_code ignored;
  for (std::int64_t index = 1; index <= sweep.count(); ++index)
    fs::remove(shard_folder(out, {index, sweep.count()}), ignored);  // of an empty folder alone
}

/// Jobs of another sweep would run this one's shards: they read the folder's config.
void check_no_foreign_jobs(const fs::path& out, const std::string& config_toml) {
  const auto config = out / "config.toml";
  if (!fs::exists(config) || fingerprint(read_text(config)) == fingerprint(config_toml)) return;
  const std::string name = slurm_job_name(out);
  std::string why;
  const auto tasks = SlurmQueue(name).tasks(why);
  if (tasks && !tasks->empty())
    fail_input("output {}: jobs of the sweep that it holds are in the queue; first: scancel --name={}",
               out.string(), name);
}

}  // namespace

void require_slurm() { SlurmQueue(""); }

std::int64_t slurm_shards(const SweepOptions& options, const SlurmOptions& slurm, std::int64_t n_prompts) {
  const auto there = options.force ? std::nullopt : shard_count(options.out);
  if (there && slurm.shards > 0 && slurm.shards != *there)
    fail_input("{}: is cut into {} shards, [slurm] asks for {}", shards_folder(options.out).string(), *there,
               slurm.shards);
  if (there) return *there;
  constexpr std::int64_t kShards = 16;
  return slurm.shards > 0 ? slurm.shards : std::min(n_prompts, kShards);
}

void run_slurm(const SweepOptions& options, const SlurmOptions& slurm, const ShardedSweep& sweep) {
  const fs::path out = fs::absolute(options.out).lexically_normal();
  check_no_foreign_jobs(out, sweep.config_toml);
  const std::string script =
      script_of(out, slurm, sweep);  // what it cannot name is told before a folder is made
  const auto lock =
      open_sweep_folder(out, sweep.config_toml, SweepFolder::sharded, options.force, sweep.count());
  write_job(out, script, sweep);
  Launch launch(out, slurm, sweep);
  try {
    launch.run();
  } catch (const InputError&) {
    remove_empty_shards(out, sweep);
    throw;
  }
  if (launch.complete()) {
    merge_and_report(options, sweep,
                     {{"launcher", "slurm"},
                      {"job_name", launch.name()},
                      {"submitted", launch.submitted()},
                      {"resubmitted", launch.resubmitted()}});
    return;
  }
  if (!interrupted()) launch.fail();
  fmt::print(stderr,
             "tidegauge: interrupted: {} of {} rows are in {}; the jobs go on (scancel --name={} ends them), "
             "and the same command waits for them and merges\n",
             launch.found(), sweep.keys.size(), shards_folder(options.out).string(), launch.name());
}

}  // namespace tide::cli
