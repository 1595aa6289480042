#pragma once
// What `plan` writes: plan.json, and the placement's file that every command takes.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/plan_validate.h"

namespace tide::cli {

/// A step's time by the model, told beside costs; nothing without a model.
using PredictMs = std::function<std::optional<double>(const std::string& policy_spec)>;

nlohmann::json json_of(const BudgetSearch& search, const SearchLevel& level);
/// The finalists as a frontier: cost against accuracy on the choice's samples.
nlohmann::json frontier_json(const PlanChoice& choice, const PredictMs& predict_ms);
nlohmann::json json_of(const Rival& rival, const PredictMs& predict_ms);
/// By number of selection layers, the smallest budget whose validation reaches the floor; null: none does.
nlohmann::json smallest_budgets(const PlanOptions& options, const std::vector<Rival>& rivals);

/// `placement=@FILE`, or the whole policy as `@FILE`. `chosen`, `full`: their validation.
std::string placement_file(const PlanWork& work, const Candidate& chosen, const nlohmann::json& validated,
                           const nlohmann::json& full);

}  // namespace tide::cli
