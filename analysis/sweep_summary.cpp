#include "analysis/sweep_summary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <tuple>

#include "analysis/output_error.h"
#include "analysis/paired.h"
#include "analysis/report.h"
#include "analysis/statistics.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

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

std::string sample_key(const ResultRow& row) {
  return fmt::format("{} {} {}", row.depth, row.sample, row.seed);
}

Estimate score_estimate(const std::vector<const ResultRow*>& rows) {
  Estimate score = estimate(rows, &ResultRow::score);
  const auto is_share = [](const ResultRow* row) {
    return !std::isnan(row->score) && row->score != 0 && row->score != 1;
  };
  if (score.n == 0 || std::any_of(rows.begin(), rows.end(), is_share)) return score;
  const auto right = static_cast<std::int64_t>(std::lround(score.mean * static_cast<double>(score.n)));
  const Interval interval = wilson_interval(right, score.n);
  return {score.n, score.mean, interval.low, interval.high};
}

/// exp of the mean over all scored tokens. Blocks of tokens in a row are drawn, which holds what neighbours
/// have in common together; exp is monotonic, so the ends of the interval are those of the mean.
Estimate perplexity_estimate(const std::vector<const ResultRow*>& rows) {
  constexpr double kBlockTokens = 64;
  std::vector<double> mean_nll, tokens;
  for (const ResultRow* row : rows) {
    double left = row->scored_tokens;
    for (const double nll : row->block_nll) {
      if (!(left > 0)) break;
      mean_nll.push_back(nll);
      tokens.push_back(std::min(kBlockTokens, left));
      left -= kBlockTokens;
    }
  }
  const auto n = static_cast<std::int64_t>(mean_nll.size());
  if (n == 0) return {0, ResultRow::kNone, ResultRow::kNone, ResultRow::kNone};
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < mean_nll.size(); ++i) sum += tokens[i] * mean_nll[i], weight += tokens[i];
  const Interval interval = Bootstrap(tokens).interval(mean_nll);
  return {n, std::exp(sum / weight), std::exp(interval.low), std::exp(interval.high)};
}

void add_ratios(std::vector<Configuration>& configurations) {
  std::map<std::pair<std::string, std::int64_t>, double> full;
  for (const Configuration& c : configurations) {
    if (c.is_full && c.score.n > 0 && c.score.mean >= 0.5) full[{c.task, c.length}] = c.score.mean;
  }
  for (Configuration& c : configurations) {
    const auto found = full.find({c.task, c.length});
    if (found != full.end() && c.score.n > 0) c.score_to_full = c.score.mean / found->second;
  }
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
    made.outcome[sample_key(*row)] = *row->correct;
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
  for (const ResultRow* row : sound) {
    if (!std::isnan(row->score)) made.score_of[sample_key(*row)] = row->score;
  }
  made.score = score_estimate(sound);
  made.perplexity = perplexity_estimate(sound);
  made.prompt_tokens = estimate(sound, &ResultRow::prompt_tokens);
  made.answer_logprob = estimate(sound, &ResultRow::answer_logprob);
  made.rows_read = estimate(sound, &ResultRow::rows_read);
  made.reuse_rate = estimate(sound, &ResultRow::reuse_rate);
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

std::string cell_words(const std::string& task, std::int64_t length) {
  return length > 0 ? fmt::format("{}, {} tokens", task, length) : task;
}

std::string cell_suffix(const std::string& task, std::int64_t length) {
  std::string suffix = "_" + task + (length > 0 ? fmt::format("_{}", length) : "");
  for (char& c : suffix) c = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ? c : '_';
  return suffix;
}

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
  name_methods(summary.configurations);
  add_ratios(summary.configurations);
  std::sort(summary.configurations.begin(), summary.configurations.end(), stands_before);
  summary.comparisons = compare_paired(summary.configurations);
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
  write_significance(run_folder / "significance.csv", summary.comparisons);
  write_table(run_folder / "table.csv", summary.configurations);
  write_sweep_figures(run_folder, summary);
  write_method_figures(run_folder, summary);
  write_parameter_figures(run_folder, summary);
  if (std::filesystem::exists(run_folder / "output_error.csv"))
    write_output_errors(run_folder, read_output_errors(run_folder / "output_error.csv"), summary);
  write_sweep_report(run_folder / "report.html", summary, plotly);
  return summary;
}

}  // namespace tide::analysis
