#pragma once
// What a bench says: one JSON object whatever was timed, a table on stdout, and the file of `--out`.

#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench/bench.h"
#include "cli/bench/rounds.h"

namespace tide::cli {

/// The object without its rows: format, what, unit (of rows' `*_ms`), model and data types, machine, and
/// how quiet the machine was. `rows` is an empty array.
nlohmann::json result_head(const BenchOptions& options, const Session& session, const Rounds& rounds,
                           const std::string& unit);

/// Prints the table, or with --json the object, and writes --out.
void publish_result(const BenchOptions& options, const nlohmann::json& result);

}  // namespace tide::cli
