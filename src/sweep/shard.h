#pragma once
// A sweep cut into shards that run apart: on many machines, or one after the other.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/plan.h"

namespace tide {

/// One of `count` shards.
struct Shard {
  std::int64_t index = 1;  ///< 1 … count
  std::int64_t count = 1;

  std::string text() const;         ///< "3/16", as parse_shard reads it
  std::string folder_name() const;  ///< "003-of-016"
};

/// `3/16`. Throws InputError: another form, a shard that is not there.
Shard parse_shard(std::string_view text);

/// Which samples each shard runs: [count] ascending indices into plan.samples. Cut by sample, so that a
/// prompt is prefilled once in the whole sweep; balanced by cost estimated from the samples' sizes alone, so
/// that every machine cuts alike. Throws InputError: more shards than samples.
std::vector<std::vector<std::size_t>> cut_samples(const SweepPlan& plan, std::int64_t count);

/// Leaves in the plan what one shard runs. Latency is measured by the first shard alone.
void keep_shard(SweepPlan& plan, const Shard& shard);

/// What a sweep's shards must hold together, without the model that the plan is bound to.
struct ShardedSweep {
  std::string config_toml;                      ///< of the whole
  std::vector<std::string> keys;                ///< of every row, in the plan's order
  std::vector<std::vector<std::string>> parts;  ///< [count] of each shard's rows
  bool output_error = false, latency = false;   ///< whether there are such files

  std::int64_t count() const { return std::ssize(parts); }
};
ShardedSweep cut_sweep(const SweepPlan& plan, std::int64_t count);

/// Where the shards of a sweep's folder stand, and one of them.
std::filesystem::path shards_folder(const std::filesystem::path& out);
std::filesystem::path shard_folder(const std::filesystem::path& out, const Shard& shard);

/// The text of config.toml in a shard's folder.
std::string shard_config(const std::string& config_toml, const Shard& shard);

}  // namespace tide
