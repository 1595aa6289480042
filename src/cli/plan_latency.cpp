#include "cli/plan_latency.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sweep/latency.h"

namespace tide::cli {

namespace {

/// What a set holds; everything, of a policy without a budget.
double positions_of(const std::string& budget, std::int64_t kv_len) {
  return static_cast<double>(budget.empty() ? kv_len : budget_positions(budget, kv_len));
}

std::string times_four(const std::string& budget, std::int64_t length) {
  return std::to_string(std::max<std::int64_t>(1, 4 * budget_positions(budget, length)));
}

/// Few and many selection layers, few and many full ones.
std::vector<std::vector<int>> measured_placements(const PlanWork& work) {
  const int n = work.session.model->config().n_layers, first = work.options.first;
  std::vector<std::vector<int>> placements = {{first}};
  if (n - first < 4) return placements;
  const int middle = first + (n - first) / 2, quarter = first + (n - first) / 4;
  placements.push_back({first, middle});
  placements.push_back({middle});
  std::vector<int> every_third;
  for (int layer = first; layer < n; layer += 3) every_third.push_back(layer);
  placements.push_back(every_third);
  if (quarter > first) placements.push_back({quarter, middle});
  return placements;
}

std::vector<analysis::LatencySample> measure(PlanWork& work, const std::vector<std::string>& specs,
                                             const std::vector<std::int64_t>& lengths) {
  SweepPlan plan = samples_of(work, 1, work.options.model.seed, specs);
  plan.config.latency_steps = work.options.latency_steps;
  plan.config.latency_lengths = lengths;
  Progress progress("latency");
  const auto measures =
      measure_latency(*work.session.decoder, plan, interrupted,
                      [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
  std::vector<analysis::LatencySample> samples;
  for (const LatencyMeasure& one : measures) {
    samples.push_back({one.placement, static_cast<double>(one.kv_len), positions_of(one.budget, one.kv_len),
                       one.median_ms});
  }
  return samples;
}

nlohmann::json json_of(const std::vector<analysis::LatencySample>& samples,
                       const analysis::LatencyModel& model) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& one : samples) {
    list.push_back({{"placement", one.placement},
                    {"kv_len", one.kv_len},
                    {"budget", one.budget},
                    {"median_ms", one.ms},
                    {"predicted_ms", model.predict_ms(one.placement, one.kv_len, one.budget)}});
  }
  return list;
}

}  // namespace

std::optional<PlanLatency> measure_plan_latency(PlanWork& work, const std::vector<Candidate>& held_out) {
  const std::int64_t length = work.options.length;
  std::vector<std::string> specs = {"full"}, held_specs;
  for (const auto& placement : measured_placements(work)) {
    Candidate candidate{placement, held_out.front().settings};
    specs.push_back(work.spec(candidate));
    candidate.settings["budget"] = times_four(candidate.settings["budget"], length);
    specs.push_back(work.spec(candidate));
  }
  for (const Candidate& candidate : held_out) held_specs.push_back(work.spec(candidate));
  const auto fitted = measure(work, specs, {length / 2, length});
  if (fitted.empty()) return std::nullopt;
  const auto checked = measure(work, held_specs, {length * 3 / 4});
  if (checked.empty()) return std::nullopt;
  PlanLatency latency{analysis::LatencyModel::fit(fitted), {}};
  const auto errors = latency.model.errors_on(checked);
  latency.report = {{"fitted", json_of(fitted, latency.model)}, {"held_out", json_of(checked, latency.model)},
                    {"weights_ms", latency.model.weights()},    {"held_out_error_mean", errors.mean},
                    {"held_out_error_largest", errors.largest}, {"steps", work.options.latency_steps}};
  return latency;
}

double PlanLatency::predict_ms(const PlanWork& work, const std::string& policy_spec) const {
  const auto policy = bind_policy(policy_spec, *work.session.model);
  const std::int64_t kv_len = work.options.length;
  return model.predict_ms(placement_letters(policy->placement()), static_cast<double>(kv_len),
                          positions_of(policy->budget(), kv_len));
}

}  // namespace tide::cli
