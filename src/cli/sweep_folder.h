#pragma once
// The folder of a sweep, or of one of its shards: opened by one run at a time.

#include <filesystem>
#include <memory>
#include <string>

#include "base/folder_lock.h"
#include "cli/common.h"

namespace tide::cli {

/// Whose folder it is.
enum class SweepFolder {
  whole,    ///< of a run that decodes every row itself
  shard,    ///< of one shard
  sharded,  ///< of a sweep whose shards are run by others
  merged    ///< of shards that are there already, and stay whatever is forced
};

/// Makes the folder, holds it for this process, and writes config.toml: the same sweep continues, another one
/// is refused unless forced, and then taken away, as is a cut into another number of shards than `n_shards`
/// (0: none is wanted). Throws InputError: what check_output_folder refuses, a
/// folder that another run is writing, shards where a whole run is to go, and the reverse.
std::unique_ptr<FolderLock> open_sweep_folder(const std::filesystem::path& folder,
                                              const std::string& config_toml, SweepFolder kind, bool force,
                                              std::int64_t n_shards = 0);

/// Throws InputError when the folder holds another sweep than this one.
void check_same_sweep(const std::filesystem::path& folder, const std::string& config_toml);

/// Writes machine.json: where the rows are made.
void write_machine(const std::filesystem::path& folder, const Decoder& decoder);

}  // namespace tide::cli
