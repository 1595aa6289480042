#pragma once
// From a sweep's results.csv (contracts.md section 7) to its summary, figures and page.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/report_plotly.h"

namespace tide::analysis {

/// One row of results.csv. Numbers that a row leaves empty are NaN.
struct ResultRow {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string task, policy, placement, sharing, map, first_token, status, output;
  std::int64_t length = 0;  ///< tokens; 0: the task's samples have lengths of their own
  double depth = kNone;     ///< share of the text before the needle, 0 to 1; NaN: the task has none
  std::string sample, seed, budget;
  std::optional<bool> correct;
  double score = kNone, answer_logprob = kNone, kl = kNone, agree = kNone, tokens = kNone;
  double rows_read = kNone, bytes_read = kNone, prefill_ms = kNone, decode_ms_per_token = kNone,
         batch = kNone, prompt_tokens = kNone, scored_tokens = kNone, reuse_rate = kNone;
  std::vector<double> block_nll;             ///< mean negative log-probability of each 64 scored tokens, nats
  std::map<std::string, std::string> extra;  ///< a task's own columns
};

/// A row of latency.csv: decode latency of a configuration, measured apart from accuracy.
struct LatencyRow {
  std::string policy, placement, budget, map;
  std::int64_t length = 0, kv_len = 0, batch = 0, steps = 0;
  double median_ms = 0, low_ms = 0, high_ms = 0;  ///< a token; low and high: its quartiles
};

/// Mean and 95 % interval, over n values.
struct Estimate {
  std::int64_t n = 0;
  double mean = 0, low = 0, high = 0;  ///< NaN when n = 0
};

/// A configuration beside a reference, on the samples that both answered.
struct Comparison {
  std::string task, policy, name;
  std::string against;    ///< "full", or "oracle" of the same budget
  std::string reference;  ///< its spec
  std::int64_t length = 0;
  std::int64_t n = 0, both = 0, only_policy = 0, only_reference = 0, neither = 0;  ///< right answers
  double p = ResultRow::kNone;       ///< McNemar's exact test, two-sided
  double p_holm = ResultRow::kNone;  ///< adjusted among the tests of one task, length and reference
  Estimate score_difference;         ///< policy minus reference; bootstrap interval by sample
};

/// One configuration: rows that share task, length and policy.
struct Configuration {
  std::string task, policy, placement, sharing, map, budget;
  std::string selection;  ///< its selection layers, "2+14"; the policy's name when it has none
  std::string method;     ///< a short name of the policy without its budget: what a line of a chart joins
  std::string heads;      ///< how sets reach heads: "same head", "mapped heads", "one set for all heads", …
  std::int64_t length = 0;
  std::int64_t n = 0;         ///< rows with status ok
  std::int64_t failed = 0;    ///< rows with another status: in no mean
  std::int64_t n_judged = 0;  ///< of them with a right or wrong answer
  std::int64_t n_correct = 0;
  Estimate accuracy;                              ///< Wilson interval
  Estimate answer_logprob, rows_read, kl, agree;  ///< bootstrap intervals by sample
  Estimate score;          ///< Wilson interval where every score is 0 or 1, else bootstrap by sample
  Estimate perplexity;     ///< exp of the mean negative log-probability; block bootstrap
  Estimate prompt_tokens;  ///< by sample
  Estimate reuse_rate;     ///< of the method's cache of sets; n = 0: it has none
  double score_to_full = ResultRow::kNone;  ///< ratio of mean scores, where full's is at least one half
  std::optional<LatencyRow> latency;
  std::map<double, std::pair<std::int64_t, std::int64_t>> by_depth;  ///< depth -> {correct, n}
  std::map<std::string, bool> outcome;     ///< sample (depth, sample, seed) -> right
  std::map<std::string, double> score_of;  ///< the same -> score
  bool is_full = false;                    ///< full attention: the reference

  std::string name() const;  ///< "2+14, budget 64, mapped heads": within one task and length
};

struct SweepSummary {
  std::string title;
  std::vector<std::string> findings;          ///< sentences
  std::vector<Configuration> configurations;  ///< by task, length, then accuracy, falling
  std::vector<Comparison> comparisons;        ///< with full attention and with the oracle
  std::int64_t n_rows = 0, n_failed = 0;
  std::map<std::string, std::int64_t> failures;  ///< status -> rows
};

/// Reads results.csv: columns by name in any order, quoted fields with commas, quotes and line breaks.
/// Throws InputError naming file, line and column; a last line without its line break (a run that was
/// killed while writing) is left out.
std::vector<ResultRow> read_results(const std::filesystem::path& csv);
std::vector<LatencyRow> read_latencies(const std::filesystem::path& csv);

SweepSummary summarise(const std::vector<ResultRow>& rows, const std::vector<LatencyRow>& latencies);

/// Gives every configuration its `method`: the policy's name where all of that name differ in their budget
/// alone; else with its selection layers, then its heads, then the parameters in which they differ.
void name_methods(std::vector<Configuration>& configurations);

/// A name for each policy's spec: the method's where it is the only one, else with the parameters other than
/// the budget in which those of the name differ.
std::vector<std::string> names_of_policies(const std::vector<std::string>& policies);

/// What the summary says in sentences, most important first.
std::vector<std::string> sweep_findings(const SweepSummary& summary);

/// Frontiers over rows read and latency, accuracy by re-selection layer, needle maps: PNG and SVG into
/// `folder`. Returns the stems' names. Throws WorkError.
std::vector<std::string> write_sweep_figures(const std::filesystem::path& folder,
                                             const SweepSummary& summary);

/// All methods in one chart a task and length: quality and fidelity against rows read, a line a method over
/// its budgets, full attention dotted; the mean over RULER's tasks; needle maps of length x depth.
std::vector<std::string> write_method_figures(const std::filesystem::path& folder,
                                              const SweepSummary& summary);

/// Quality, fidelity and cache hits against every parameter of a method of which the sweep has three or more
/// numbers: a line for each of the other parameters' values.
std::vector<std::string> write_parameter_figures(const std::filesystem::path& folder,
                                                 const SweepSummary& summary);

/// "needle, 1024 tokens"; "kv:lines=10" for a task whose samples have lengths of their own.
std::string cell_words(const std::string& task, std::int64_t length);

/// "_needle_1024": what names of files that belong to a task and length end with.
std::string cell_suffix(const std::string& task, std::int64_t length);

/// `summary.json`'s text.
std::string summary_json(const SweepSummary& summary);

/// Reads a run's folder (results.csv, latency.csv when there) and writes summary.json, frontier figures
/// (PNG, SVG) and report.html into it. Throws InputError, WorkError.
SweepSummary summarise_sweep(const std::filesystem::path& run_folder,
                             PlotlyPlace plotly = PlotlyPlace::inlined);

}  // namespace tide::analysis
