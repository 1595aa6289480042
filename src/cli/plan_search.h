#pragma once
// The search of `plan`: by teacher forcing, budget after budget; then by answers, among the leaders.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/plan_evidence.h"
#include "cli/plan_latency.h"
#include "search/placement_search.h"

namespace tide::cli {

/// What was found at one budget.
struct BudgetSearch {
  std::string budget;
  std::vector<SearchLevel> levels;  ///< by rising number of selection layers
};

/// Every budget from the largest down; the first is searched in full, the others begin with the leaders of
/// the one before. Empty after a signal. Throws WorkError, InputError.
std::vector<BudgetSearch> search_budgets(PlanWork& work, const PlanEvidence& evidence);

/// The best of one budget and number of selection layers, by its answers.
struct Finalist {
  Candidate candidate;
  Judged judged;
  double cost = 0;  ///< as `--cost` counts
};

struct PlanChoice {
  Judged full, oracle;                ///< on the same samples
  std::string oracle_budget;          ///< the largest
  std::vector<Finalist> compared;     ///< all whose answers were decoded
  std::vector<Finalist> finalists;    ///< of those the best of each budget and number of selection layers
  std::vector<std::size_t> frontier;  ///< of the finalists: those that no other beats, by rising cost
  std::size_t chosen = 0;             ///< of the finalists
};

/// What was judged of a spec's policy, which must be there (asserted): specs can mean the same policy.
const Judged& judged_of(const PlanWork& work, const std::string& spec, std::span<const Judged> judged);

/// Nothing after a signal. Throws as search_budgets.
std::optional<PlanChoice> choose_candidate(PlanWork& work, const std::vector<BudgetSearch>& searches,
                                           const std::optional<PlanLatency>& latency);

}  // namespace tide::cli
