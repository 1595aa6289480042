#include "cli/sweep_rows.h"

#include <cstdio>
#include <optional>

#include "analysis/sweep_summary.h"
#include "base/error.h"
#include "sweep/latency.h"
#include "sweep/output_error.h"

namespace tide::cli {

namespace {

void measure_latency_once(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& folder) {
  const auto file = folder / "latency.csv";
  if (plan.config.latency_steps == 0 || std::filesystem::exists(file) || interrupted()) return;
  Progress progress("latency");
  const auto measures = measure_latency(decoder, plan, interrupted,
                                        [&](auto done, auto total) { progress.update(done, total); });
  if (!measures.empty()) write_latency(file, measures);
}

SweepOutcome decode_rows(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& folder) {
  ResultsFile results(folder / "results.csv");
  std::optional<OutputErrorFile> output_errors;
  if (plan.config.output_error) output_errors.emplace(folder / "output_error.csv");
  Progress progress("rows");
  SweepHooks hooks;
  hooks.interrupted = interrupted;
  hooks.progress = [&](auto done, auto total) { progress.update(done, total); };
  if (output_errors) hooks.before_row = [&](const SweepRow& row) { output_errors->append(row); };
  return run_sweep(decoder, plan, results, hooks);
}

}  // namespace

SweepOutcome run_rows(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& folder) {
  const SweepOutcome outcome = decode_rows(decoder, plan, folder);
  measure_latency_once(decoder, plan, folder);
  return outcome;
}

void report_rows(const SweepOutcome& outcome, const std::filesystem::path& folder) {
  const std::string file = (folder / "results.csv").string();
  if (interrupted()) {
    fmt::print(stderr, "tidegauge: interrupted: {} of {} rows are in {}; the same command continues\n",
               outcome.found + outcome.written, outcome.total, file);
  }
  if (outcome.failed > 0) {
    fmt::print(stderr, "tidegauge: {} of {} rows failed; column 'status' of {} says why\n", outcome.failed,
               outcome.written, file);
  }
}

void report_results(const SweepOptions& options, std::int64_t n_rows, nlohmann::json facts) {
  if (n_rows == 0) return;
  const auto summary = analysis::summarise_sweep(options.out);
  if (options.json) {
    facts["out"] = options.out.string();
    facts["findings"] = summary.findings;
    print_json(facts);
    return;
  }
  for (const std::string& finding : summary.findings) fmt::print("{}\n", finding);
  fmt::print("{} rows: {}\nreport: {}\n", n_rows, (options.out / "results.csv").string(),
             (options.out / "report.html").string());
}

}  // namespace tide::cli
