#include "analysis/sweep_summary.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "analysis/report.h"
#include "analysis/statistics.h"
#include "base/error.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

using ConfigurationKey = std::tuple<std::string, std::int64_t, std::string>;  // task, length, policy

/// "FFS.....S…" -> "2+8"; without a selection layer the policy's name.
std::string selection_of(const std::string& placement, const std::string& policy) {
  std::string out;
  for (std::size_t layer = 0; layer < placement.size(); ++layer) {
    if (placement[layer] != 'S') continue;
    out += (out.empty() ? "" : "+") + std::to_string(layer);
  }
  return out.empty() ? policy.substr(0, policy.find(':')) : out;
}

/// How chosen sets reach the heads that read them. `several_maps`: the map's file tells maps apart.
std::string heads_of(const Configuration& c, bool several_maps) {
  if (c.is_full) return "full attention";
  if (c.placement.find('S') == std::string::npos) return "no reuse";
  if (c.sharing == "all") return "one set for all heads";
  const std::string unit = c.sharing == "group" ? "KV head" : "head";
  if (c.map.empty()) return "same " + unit;
  if (!several_maps) return "mapped " + unit + "s";
  return fmt::format("mapped {}s ({})", unit, std::filesystem::path(c.map).stem().string());
}

Estimate estimate(const std::vector<const ResultRow*>& rows, double ResultRow::*field) {
  std::vector<double> values;
  for (const ResultRow* row : rows) {
    if (!std::isnan(row->*field)) values.push_back(row->*field);
  }
  Estimate result{static_cast<std::int64_t>(values.size()), ResultRow::kNone, ResultRow::kNone,
                  ResultRow::kNone};
  if (values.empty()) return result;
  double sum = 0;
  for (const double value : values) sum += value;
  const Interval interval = bootstrap_interval(values);
  result.mean = sum / static_cast<double>(values.size());
  result.low = interval.low;
  result.high = interval.high;
  return result;
}

Configuration configuration_of(const ConfigurationKey& key, const std::vector<const ResultRow*>& all) {
  Configuration made;
  std::tie(made.task, made.length, made.policy) = key;
  made.placement = all.front()->placement;
  made.sharing = all.front()->sharing;
  made.map = all.front()->map;
  made.budget = all.front()->budget;
  made.selection = selection_of(made.placement, made.policy);
  made.is_full = made.policy == "full" || made.policy.starts_with("full:");
  std::vector<const ResultRow*> sound;
  for (const ResultRow* row : all) {
    if (row->status == "ok") sound.push_back(row);
  }
  made.n = static_cast<std::int64_t>(sound.size());
  made.failed = static_cast<std::int64_t>(all.size() - sound.size());
  for (const ResultRow* row : sound) {
    if (!row->correct) continue;
    ++made.n_judged;
    made.n_correct += *row->correct ? 1 : 0;
    made.outcome[fmt::format("{} {} {}", row->depth, row->sample, row->seed)] = *row->correct;
    if (std::isnan(row->depth)) continue;
    auto& [correct, n] = made.by_depth[row->depth];
    correct += *row->correct ? 1 : 0;
    ++n;
  }
  made.accuracy = {made.n_judged, ResultRow::kNone, ResultRow::kNone, ResultRow::kNone};
  if (made.n_judged > 0) {
    const Interval interval = wilson_interval(made.n_correct, made.n_judged);
    made.accuracy.mean = static_cast<double>(made.n_correct) / static_cast<double>(made.n_judged);
    made.accuracy.low = interval.low;
    made.accuracy.high = interval.high;
  }
  made.answer_logprob = estimate(sound, &ResultRow::answer_logprob);
  made.rows_read = estimate(sound, &ResultRow::rows_read);
  made.kl = estimate(sound, &ResultRow::kl);
  made.agree = estimate(sound, &ResultRow::agree);
  return made;
}

/// Better first: full attention leads, then accuracy, then answer log-probability, then fewer rows.
bool stands_before(const Configuration& a, const Configuration& b) {
  const auto rank = [](const Configuration& c) {
    const auto falling = [](double value) { return std::isnan(value) ? 1e300 : -value; };
    const double rows = std::isnan(c.rows_read.mean) ? 1e300 : c.rows_read.mean;
    return std::tuple(c.task, c.length, !c.is_full, falling(c.accuracy.mean), falling(c.answer_logprob.mean),
                      rows, c.policy);
  };
  return rank(a) < rank(b);
}

}  // namespace

std::string Configuration::name() const {
  if (is_full) return heads;
  std::string out = selection;
  if (!budget.empty()) out += ", budget " + budget;
  return heads == "no reuse" ? out : out + ", " + heads;
}

SweepSummary summarise(const std::vector<ResultRow>& rows, const std::vector<LatencyRow>& latencies) {
  SweepSummary summary;
  std::map<ConfigurationKey, std::vector<const ResultRow*>> by_key;
  std::set<std::string> maps;
  for (const ResultRow& row : rows) {
    by_key[{row.task, row.length, row.policy}].push_back(&row);
    if (!row.map.empty()) maps.insert(row.map);
    ++summary.n_rows;
    if (row.status == "ok") continue;
    ++summary.n_failed;
    ++summary.failures[row.status];
  }
  for (const auto& [key, group] : by_key) {
    summary.configurations.push_back(configuration_of(key, group));
    Configuration& made = summary.configurations.back();
    made.heads = heads_of(made, maps.size() > 1);
    for (const LatencyRow& latency : latencies) {
      if (latency.policy == made.policy && latency.length == made.length) made.latency = latency;
    }
  }
  std::sort(summary.configurations.begin(), summary.configurations.end(), stands_before);
  summary.findings = sweep_findings(summary);
  return summary;
}

SweepSummary summarise_sweep(const std::filesystem::path& run_folder, PlotlyPlace plotly) {
  const auto rows = read_results(run_folder / "results.csv");
  if (rows.empty()) fail_input("{}: no rows", (run_folder / "results.csv").string());
  std::vector<LatencyRow> latencies;
  if (std::filesystem::exists(run_folder / "latency.csv"))
    latencies = read_latencies(run_folder / "latency.csv");
  SweepSummary summary = summarise(rows, latencies);
  const std::string name =
      std::filesystem::absolute(run_folder / "").lexically_normal().parent_path().filename().string();
  summary.title = "Sweep of placements and budgets" + (name == "sweep" ? "" : ": " + name);
  write_text_atomically(run_folder / "summary.json", summary_json(summary));
  write_sweep_figures(run_folder, summary);
  write_sweep_report(run_folder / "report.html", summary, plotly);
  return summary;
}

}  // namespace tide::analysis
