#include "cli/sweep_folder.h"

#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "sweep/config.h"
#include "sweep/merge.h"
#include "sweep/shard.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

/// Whether the folder holds a run of the same rows. How many of them are decoded together may differ.
bool continues(const fs::path& folder, const std::string& config_toml) {
  const auto config = folder / "config.toml";
  return fs::exists(config) && fingerprint(read_text(config)) == fingerprint(config_toml);
}

/// Throws InputError: a shard that is being run.
void check_idle_shards(const fs::path& folder) {
  if (!fs::exists(shards_folder(folder))) return;
  for (const auto& entry : fs::directory_iterator(shards_folder(folder))) {
    if (!entry.is_directory()) continue;
    if (const auto holder = FolderLock::holder(entry.path()))
      fail_input("{}: another run is writing it ({})", entry.path().string(), *holder);
  }
}

void remove_shards(const fs::path& folder) {
  check_idle_shards(folder);
  fs::remove_all(shards_folder(folder));
}

/// Takes away what another run left in the folder: --force allowed it. Shards that are to be merged stay.
void remove_old_run(const fs::path& folder, SweepFolder kind) {
  if (kind != SweepFolder::merged) check_idle_shards(folder);  // before anything is gone
  for (const char* rows : {"results.csv", "latency.csv", "output_error.csv"}) fs::remove(folder / rows);
  const auto config = folder / "config.toml";
  if (!fs::exists(config) || !read_text(config).starts_with("# tidegauge sweep")) return;
  if (kind != SweepFolder::merged) remove_shards(folder);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    const bool is_output = extension == ".csv" || extension == ".png" || extension == ".svg" ||
                           extension == ".html" || extension == ".json";
    if (entry.is_regular_file() && is_output) fs::remove(entry.path());
  }
}

/// Rows of one sweep are made in one way. Merged shards are a whole run that is complete.
void check_kind(const fs::path& folder, SweepFolder kind) {
  const bool has_rows = fs::exists(folder / "results.csv"), has_shards = fs::exists(shards_folder(folder));
  if (kind == SweepFolder::whole && has_shards && !has_rows)
    fail_input(
        "output {}: holds this sweep in shards: --merge puts them together, --launcher slurm goes on; "
        "or use --force",
        folder.string());
  if ((kind == SweepFolder::sharded || kind == SweepFolder::merged) && has_rows && !has_shards)
    fail_input("output {}: holds this sweep as one run; continue it without shards, or name another folder",
               folder.string());
}

}  // namespace

std::unique_ptr<FolderLock> open_sweep_folder(const fs::path& folder, const std::string& config_toml,
                                              SweepFolder kind, bool force, std::int64_t n_shards) {
  // Before anything is made: another program's folder stays as it is. Shards may have been gathered in a
  // folder that has no config of its own.
  const bool gathered = kind == SweepFolder::merged && !fs::exists(folder / "config.toml");
  check_output_folder(folder, config_toml, force || gathered || continues(folder, config_toml));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail_input("output {}: {}", folder.string(), error.message());
  auto lock = std::make_unique<FolderLock>(folder);
  if (!lock->holds())
    fmt::print(stderr,
               "tidegauge: {}: its file system has no locks; see to it that one run alone writes it\n",
               folder.string());
  const bool resumes = continues(folder, config_toml);
  if (force && !resumes) remove_old_run(folder, kind);
  if (!force) check_kind(folder, kind);
  if (force && resumes && kind == SweepFolder::whole && !fs::exists(folder / "results.csv"))
    remove_shards(folder);
  if (force && resumes && kind == SweepFolder::sharded && shard_count(folder) != n_shards)
    remove_shards(folder);
  prepare_output_folder(folder, config_toml, force || gathered || resumes);
  return lock;
}

void check_same_sweep(const fs::path& folder, const std::string& config_toml) {
  check_output_folder(folder, config_toml, continues(folder, config_toml));
}

void write_machine(const fs::path& folder, const Decoder& decoder) {
  write_text_atomically(folder / "machine.json",
                        machine_facts(decoder.n_threads(), decoder.cpus()).dump(2) + "\n");
}

}  // namespace tide::cli
