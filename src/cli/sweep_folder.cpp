#include "cli/sweep_folder.h"

#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "sweep/config.h"
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
void remove_shards(const fs::path& folder) {
  if (!fs::exists(shards_folder(folder))) return;
  for (const auto& entry : fs::directory_iterator(shards_folder(folder))) {
    if (!entry.is_directory()) continue;
    if (const auto holder = FolderLock::holder(entry.path()))
      fail_input("{}: another run is writing it ({})", entry.path().string(), *holder);
  }
  fs::remove_all(shards_folder(folder));
}

/// Takes away what another run left in the folder: --force allowed it.
void remove_old_run(const fs::path& folder) {
  for (const char* rows : {"results.csv", "latency.csv", "output_error.csv"}) fs::remove(folder / rows);
  const auto config = folder / "config.toml";
  if (!fs::exists(config) || !read_text(config).starts_with("# tidegauge sweep")) return;
  remove_shards(folder);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto kind = entry.path().extension();
    const bool is_output =
        kind == ".csv" || kind == ".png" || kind == ".svg" || kind == ".html" || kind == ".json";
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
  if (kind == SweepFolder::sharded && has_rows && !has_shards)
    fail_input("output {}: holds this sweep as one run; continue it without shards, or name another folder",
               folder.string());
}

}  // namespace

std::unique_ptr<FolderLock> open_sweep_folder(const fs::path& folder, const std::string& config_toml,
                                              SweepFolder kind, bool force) {
  // Before anything is made: another program's folder stays as it is.
  check_output_folder(folder, config_toml, force || continues(folder, config_toml));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail_input("output {}: {}", folder.string(), error.message());
  auto lock = std::make_unique<FolderLock>(folder);
  if (!lock->holds())
    fmt::print(stderr,
               "tidegauge: {}: its file system has no locks; see to it that one run alone writes it\n",
               folder.string());
  const bool resumes = continues(folder, config_toml);
  if (force && !resumes) remove_old_run(folder);
  if (!force) check_kind(folder, kind);
  if (force && resumes && kind == SweepFolder::whole && !fs::exists(folder / "results.csv"))
    remove_shards(folder);
  prepare_output_folder(folder, config_toml, force || resumes);
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
