#pragma once
// `sweep --launcher slurm`: shards as a job array, watched until all rows are there.

#include "cli/sweep_options.h"
#include "sweep/shard.h"
#include "sweep/slurm_options.h"

namespace tide::cli {

/// Throws InputError when this machine does not reach a Slurm: said before a model is loaded.
void require_slurm();

/// Submits what is not done, waits, submits failed shards again, merges and reports. Jobs of an earlier call
/// that Slurm still has are waited for. A signal leaves them running. Throws InputError, WorkError (shards
/// that failed too often).
void run_slurm(const SweepOptions& options, const SlurmOptions& slurm, const ShardedSweep& sweep);

/// How many shards: those that the folder already has, or as asked, or one a prompt and 16 at most. Throws
/// InputError when the folder has another number than asked.
std::int64_t slurm_shards(const SweepOptions& options, const SlurmOptions& slurm, std::int64_t n_prompts);

}  // namespace tide::cli
