#pragma once
// The rows of a sweep, or of one shard, decoded into its folder, and what is told of them.

#include <filesystem>

#include "cli/sweep_options.h"
#include "sweep/engine.h"

namespace tide::cli {

/// Decodes what is not there yet, then measures latency once.
SweepOutcome run_rows(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& folder);

/// Tells of a signal and of failed rows, on stderr.
void report_rows(const SweepOutcome& outcome, const std::filesystem::path& folder);

/// Makes table, figures and page of a folder with rows, and prints what they say; `facts` stand in front of
/// it in JSON.
void report_results(const SweepOptions& options, std::int64_t n_rows, nlohmann::json facts);

}  // namespace tide::cli
