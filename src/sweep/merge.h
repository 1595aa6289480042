#pragma once
// The shards of a sweep put together as one run would have written it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sweep/shard.h"

namespace tide {

/// The number of shards whose folders stand in a sweep's folder; nothing: none. Throws InputError when there
/// are some of several numbers.
std::optional<std::int64_t> shard_count(const std::filesystem::path& out);

/// How far a shard is, as its folder tells.
struct ShardState {
  std::int64_t found = 0;    ///< rows of the sweep in its results.csv
  std::int64_t planned = 0;  ///< rows that it runs
  bool complete = false;     ///< all rows, and the other files that belong to it
};

/// Throws InputError when the folder holds a shard of another sweep, another file in results.csv's place, a
/// row that the shard does not run, or one twice. A folder that is not there has no rows.
ShardState look_at_shard(const std::filesystem::path& out, const ShardedSweep& sweep, std::int64_t index);

/// Writes results.csv, its rows in the plan's order, output_error.csv and latency.csv into `out`; returns the
/// text of each shard's machine.json. Throws InputError as look_at_shard does, and: shards that are not
/// complete, one that is being run, shards that different commits of the program ran. WorkError.
std::vector<std::string> merge_shards(const std::filesystem::path& out, const ShardedSweep& sweep);

}  // namespace tide
