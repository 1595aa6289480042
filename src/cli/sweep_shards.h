#pragma once
// One shard of a sweep, and shards that become one result.

#include "cli/sweep_options.h"
#include "sweep/merge.h"
#include "sweep/plan.h"

namespace tide::cli {

/// Runs the shard that the options name, in a folder of its own below --out.
void run_shard(const SweepOptions& options, Session& session, SweepPlan plan);

/// `sweep --merge`: puts the shards below --out together. Throws InputError: there are none, or what
/// merge_shards refuses.
void run_merge(const SweepOptions& options, const SweepPlan& plan);

/// Merges into the folder, which this process holds, and reports; `facts` as report_results takes them.
void merge_and_report(const SweepOptions& options, const ShardedSweep& sweep, nlohmann::json facts);

}  // namespace tide::cli
