// results.csv and latency.csv, by column names. Nothing in the files is trusted.

#include <algorithm>

#include "analysis/csv_table.h"
#include "analysis/sweep_summary.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

const std::vector<std::string>& known_columns() {
  static const std::vector<std::string> names = {
      "task",    "length", "depth",  "sample",        "seed",          "policy",     "placement",
      "sharing", "map",    "budget", "first_token",   "correct",       "score",      "answer_logprob",
      "kl",      "agree",  "tokens", "rows_read",     "bytes_read",    "prefill_ms", "decode_ms_per_token",
      "batch",   "status", "output", "prompt_tokens", "scored_tokens", "block_nll",  "reuse_rate"};
  return names;
}

}  // namespace

std::vector<ResultRow> read_results(const std::filesystem::path& csv) {
  const CsvTable table(csv, {"task", "length", "sample", "seed", "policy", "placement", "map", "budget",
                             "correct", "rows_read", "status"});
  std::vector<ResultRow> rows;
  for (const CsvRecord& record : table.records()) {
    ResultRow row;
    const std::pair<const char*, std::string ResultRow::*> texts[] = {
        {"task", &ResultRow::task},
        {"policy", &ResultRow::policy},
        {"placement", &ResultRow::placement},
        {"sharing", &ResultRow::sharing},
        {"map", &ResultRow::map},
        {"budget", &ResultRow::budget},
        {"first_token", &ResultRow::first_token},
        {"status", &ResultRow::status},
        {"output", &ResultRow::output},
        {"sample", &ResultRow::sample},
        {"seed", &ResultRow::seed}};
    for (const auto& [column, field] : texts) row.*field = table.text(record, column);
    const std::pair<const char*, double ResultRow::*> numbers[] = {
        {"depth", &ResultRow::depth},
        {"score", &ResultRow::score},
        {"answer_logprob", &ResultRow::answer_logprob},
        {"kl", &ResultRow::kl},
        {"agree", &ResultRow::agree},
        {"tokens", &ResultRow::tokens},
        {"rows_read", &ResultRow::rows_read},
        {"bytes_read", &ResultRow::bytes_read},
        {"prefill_ms", &ResultRow::prefill_ms},
        {"decode_ms_per_token", &ResultRow::decode_ms_per_token},
        {"batch", &ResultRow::batch},
        {"prompt_tokens", &ResultRow::prompt_tokens},
        {"scored_tokens", &ResultRow::scored_tokens},
        {"reuse_rate", &ResultRow::reuse_rate}};
    for (const auto& [column, field] : numbers) row.*field = table.number(record, column);
    row.length = table.integer(record, "length");
    row.correct = table.truth(record, "correct");
    row.block_nll = table.numbers(record, "block_nll");
    for (const std::string& column : table.header()) {
      const auto& known = known_columns();
      if (std::find(known.begin(), known.end(), column) == known.end()) {
        row.extra[column] = table.text(record, column);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<LatencyRow> read_latencies(const std::filesystem::path& csv) {
  const CsvTable table(csv, {"policy", "placement", "budget", "map", "length", "kv_len", "batch", "median_ms",
                             "low_ms", "high_ms", "steps"});
  std::vector<LatencyRow> rows;
  for (const CsvRecord& record : table.records()) {
    LatencyRow row;
    row.policy = table.text(record, "policy");
    row.placement = table.text(record, "placement");
    row.budget = table.text(record, "budget");
    row.map = table.text(record, "map");
    row.length = table.integer(record, "length");
    row.kv_len = table.integer(record, "kv_len");
    row.batch = table.integer(record, "batch");
    row.steps = table.integer(record, "steps");
    row.median_ms = table.number(record, "median_ms");
    row.low_ms = table.number(record, "low_ms");
    row.high_ms = table.number(record, "high_ms");
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace tide::analysis
