#pragma once
// What placements cost on this machine: measured, fitted, checked on placements that were held out.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "analysis/latency_model.h"
#include "cli/plan_stages.h"

namespace tide::cli {

/// A fitted model and what it was fitted to.
struct PlanLatency {
  analysis::LatencyModel model;
  nlohmann::json report;  ///< measurements, weights, errors on what was held out

  double predict_ms(const PlanWork& work, const std::string& policy_spec) const;
};

/// Decodes placements of few and many selection layers at half and all of the plan's length and at the first
/// candidate's budget and four times it, fits the model, and measures `held_out` between those lengths.
/// Nothing after a signal. Throws InputError.
std::optional<PlanLatency> measure_plan_latency(PlanWork& work, const std::vector<Candidate>& held_out);

}  // namespace tide::cli
