// A sweep's summary as JSON: summary.json, and the data of its page.

#include <cmath>

#include "analysis/report.h"
#include "analysis/report_page.h"

namespace tide::analysis {
namespace {

nlohmann::json estimate_json(const Estimate& estimate) {
  return {{"n", estimate.n},
          {"mean", json_number(estimate.mean, 6)},
          {"low", json_number(estimate.low, 6)},
          {"high", json_number(estimate.high, 6)}};
}

nlohmann::json configuration_json(const Configuration& c) {
  nlohmann::json out = {{"task", c.task},
                        {"length", c.length},
                        {"policy", c.policy},
                        {"name", c.name()},
                        {"placement", c.placement},
                        {"selection", c.selection},
                        {"heads", c.heads},
                        {"sharing", c.sharing},
                        {"map", c.map},
                        {"budget", c.budget},
                        {"full", c.is_full},
                        {"n", c.n},
                        {"failed", c.failed},
                        {"judged", c.n_judged},
                        {"correct", c.n_correct},
                        {"accuracy", estimate_json(c.accuracy)},
                        {"answer_logprob", estimate_json(c.answer_logprob)},
                        {"rows_read", estimate_json(c.rows_read)},
                        {"method", c.method},
                        {"score", estimate_json(c.score)},
                        {"score_to_full", json_number(c.score_to_full, 6)},
                        {"perplexity", estimate_json(c.perplexity)},
                        {"prompt_tokens", json_number(c.prompt_tokens.mean, 6)},
                        {"kl", estimate_json(c.kl)},
                        {"agree", estimate_json(c.agree)}};
  if (c.reuse_rate.n > 0) out["reuse_rate"] = estimate_json(c.reuse_rate);
  out["latency_ms"] = nullptr;
  if (c.latency) {
    out["latency_ms"] = {{"median", json_number(c.latency->median_ms, 6)},
                         {"low", json_number(c.latency->low_ms, 6)},
                         {"high", json_number(c.latency->high_ms, 6)},
                         {"kv_len", c.latency->kv_len},
                         {"batch", c.latency->batch},
                         {"steps", c.latency->steps}};
  }
  out["by_depth"] = nlohmann::json::array();
  for (const auto& [depth, counts] : c.by_depth) {
    out["by_depth"].push_back(
        {{"depth", json_number(depth, 6)}, {"correct", counts.first}, {"n", counts.second}});
  }
  return out;
}

}  // namespace

namespace {

nlohmann::json comparison_json(const Comparison& c) {
  return {{"task", c.task},
          {"length", c.length},
          {"policy", c.policy},
          {"name", c.name},
          {"against", c.against},
          {"reference", c.reference},
          {"n", c.n},
          {"both", c.both},
          {"only_policy", c.only_policy},
          {"only_reference", c.only_reference},
          {"neither", c.neither},
          {"p", json_number(c.p, 6)},
          {"p_holm", json_number(c.p_holm, 6)},
          {"score_difference", estimate_json(c.score_difference)}};
}

}  // namespace

nlohmann::json sweep_json(const SweepSummary& summary) {
  nlohmann::json out = {
      {"kind", "sweep"},          {"title", summary.title},       {"findings", summary.findings},
      {"n_rows", summary.n_rows}, {"n_failed", summary.n_failed}, {"failures", summary.failures}};
  out["configurations"] = nlohmann::json::array();
  for (const Configuration& c : summary.configurations)
    out["configurations"].push_back(configuration_json(c));
  out["comparisons"] = nlohmann::json::array();
  for (const Comparison& c : summary.comparisons) out["comparisons"].push_back(comparison_json(c));
  return out;
}

std::string summary_json(const SweepSummary& summary) { return sweep_json(summary).dump(2) + "\n"; }

void write_sweep_report(const std::filesystem::path& out_html, const SweepSummary& summary,
                        PlotlyPlace plotly) {
  write_page(out_html, sweep_json(summary), plotly);
}

}  // namespace tide::analysis
