#pragma once
// What a bench says: one JSON object whatever was timed, a table on stdout, and the files of `--out`.

#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench/bench.h"
#include "cli/bench/rounds.h"

namespace tide::cli {

/// The object without its rows: format, what, unit (of rows' `*_ms`), the command, the machine and how
/// quiet it was. `rows` is an empty array.
nlohmann::json result_head(const BenchOptions& options, nlohmann::json machine, const Rounds& rounds,
                           const std::string& unit);
/// The same with model and data types.
nlohmann::json result_head(const BenchOptions& options, const Session& session, const Rounds& rounds,
                           const std::string& unit);

/// Writes --out, prints the table, or with --json the object, and draws the figure of --out: the rows'
/// medians from the fastest to the slowest round. Throws WorkError when a file cannot be written.
void publish_result(const BenchOptions& options, const nlohmann::json& result);

}  // namespace tide::cli
