#include "cli/sweep_shards.h"

#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "cli/sweep_folder.h"
#include "cli/sweep_rows.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

/// The sweep's own folder: nothing of another one in it.
void check_sweep_folder(const fs::path& out, const std::string& config_toml, bool force) {
  const bool has_shards = fs::exists(shards_folder(out));
  if (!has_shards && fs::exists(out / "results.csv"))
    fail_input("output {}: holds this sweep as one run; continue it without --shard, or name another folder",
               out.string());
  const bool has_config = fs::exists(out / "config.toml");
  if (force && has_config && fingerprint(read_text(out / "config.toml")) != fingerprint(config_toml))
    fail_input("output {}: holds another sweep, which a single shard does not take away; name another folder",
               out.string());
  if (has_config || !has_shards) check_same_sweep(out, config_toml);
}

/// Many shards begin at once: each writes under a name of its own, and all of them the same.
void write_sweep_config(const fs::path& out, const std::string& config_toml, const Shard& shard) {
  if (fs::exists(out / "config.toml")) return;
  const auto file = out / ("config.toml." + shard.folder_name());
  write_text_atomically(file, config_toml);
  fs::rename(file, out / "config.toml");
}

/// A shard's rows are of one build of the program.
void check_commit(const fs::path& folder, bool force) {
  const auto file = folder / "machine.json";
  if (force || !fs::exists(file) || !fs::exists(folder / "results.csv")) return;
  const auto facts = nlohmann::json::parse(read_text(file), nullptr, false);
  const auto ours = machine_facts(1).at("commit").get<std::string>();
  const auto theirs = facts.is_object() ? facts.value("commit", std::string()) : std::string();
  if (theirs != ours)
    fail_input("{}: was begun by commit '{}' of the program, this is '{}'; --force begins it anew",
               folder.string(), theirs, ours);
}

void forget_rows(const fs::path& folder) {
  for (const char* name : {"results.csv", "latency.csv", "output_error.csv", "machine.json"})
    fs::remove(folder / name);
}

void report_shard(const SweepOptions& options, const Shard& shard, const fs::path& folder,
                  const SweepOutcome& outcome) {
  report_rows(outcome, folder);
  if (options.json) {
    print_json({{"shard", shard.text()},
                {"out", folder.string()},
                {"rows", outcome.total},
                {"found", outcome.found},
                {"written", outcome.written},
                {"failed", outcome.failed},
                {"complete", outcome.complete()}});
    return;
  }
  fmt::print("shard {}: {} of {} rows: {}\n", shard.text(), outcome.found + outcome.written, outcome.total,
             (folder / "results.csv").string());
}

}  // namespace

void run_shard(const SweepOptions& options, Session& session, SweepPlan plan) {
  const Shard shard = parse_shard(options.shard);
  const std::string sweep_toml = to_toml(plan.config);
  keep_shard(plan, shard);
  check_sweep_folder(options.out, sweep_toml, options.force);
  const auto folder = shard_folder(options.out, shard);
  const auto lock =
      open_sweep_folder(folder, shard_config(sweep_toml, shard), SweepFolder::shard, options.force);
  check_commit(folder, options.force);
  if (options.force) forget_rows(folder);
  write_sweep_config(options.out, sweep_toml, shard);
  write_machine(folder, *session.decoder);
  report_shard(options, shard, folder, run_rows(*session.decoder, plan, folder));
}

void merge_and_report(const SweepOptions& options, const ShardedSweep& sweep, nlohmann::json facts) {
  const auto machines = merge_shards(options.out, sweep);
  nlohmann::json machine = nlohmann::json::parse(machines.front());
  machine["shards"] = nlohmann::json::array();
  for (const std::string& text : machines) machine["shards"].push_back(nlohmann::json::parse(text));
  write_text_atomically(options.out / "machine.json", machine.dump(2) + "\n");
  const auto n_rows = std::ssize(sweep.keys);
  facts["rows"] = n_rows;
  facts["shards"] = sweep.count();
  facts["complete"] = true;
  report_results(options, n_rows, std::move(facts));
}

void run_merge(const SweepOptions& options, const SweepPlan& plan) {
  const auto count = shard_count(options.out);
  if (!count) fail_input("{}: there are no shards to merge", shards_folder(options.out).string());
  const ShardedSweep sweep = cut_sweep(plan, *count);
  // A shard of another sweep is named before the folder is: what it differs in is more to the point.
  for (std::int64_t index = 1; index <= sweep.count(); ++index) look_at_shard(options.out, sweep, index);
  const auto lock = open_sweep_folder(options.out, sweep.config_toml, SweepFolder::merged, options.force);
  merge_and_report(options, sweep, {});
}

}  // namespace tide::cli
