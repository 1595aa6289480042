#include "cli/plan_latency.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sweep/latency.h"

namespace tide::cli {

namespace {

/// A budget in positions: "64", or "5%" of those in use.
double positions_of(const std::string& budget, double kv_len) {
  if (budget.ends_with('%'))
    return parse_number(budget.substr(0, budget.size() - 1), "budget") / 100 * kv_len;
  return budget.empty() ? kv_len : parse_number(budget, "budget");
}

std::string times_four(const std::string& budget, double kv_len) {
  return std::to_string(std::max(1, static_cast<int>(4 * positions_of(budget, kv_len))));
}

/// Few and many selection layers, few and many full ones.
std::vector<Candidate> measured_placements(const PlanWork& work) {
  const int n = work.session.model->config().n_layers, first = work.options.first;
  std::vector<Candidate> placements = {{{first}}};
  if (n - first < 4) return placements;
  const int middle = first + (n - first) / 2, quarter = first + (n - first) / 4;
  placements.push_back({{first, middle}});
  placements.push_back({{middle}});
  Candidate every_third;
  for (int layer = first; layer < n; layer += 3) every_third.select.push_back(layer);
  placements.push_back(every_third);
  if (quarter > first) placements.push_back({{quarter, middle}});
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
    const auto kv_len = static_cast<double>(one.kv_len);
    samples.push_back({one.placement, kv_len, positions_of(one.budget, kv_len), one.median_ms});
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
  for (const Candidate& candidate : measured_placements(work)) {
    specs.push_back(work.spec(candidate, true));
    specs.push_back(work.spec(candidate, true, times_four(work.options.budget, static_cast<double>(length))));
  }
  for (const Candidate& candidate : held_out) held_specs.push_back(work.spec(candidate, true));
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
  const auto kv_len = static_cast<double>(work.options.length);
  return model.predict_ms(placement_letters(policy->placement()), kv_len,
                          positions_of(policy->budget(), kv_len));
}

}  // namespace tide::cli
