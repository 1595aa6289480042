#pragma once
// The validation of `plan`: the chosen candidate beside others, on samples that the search has not seen.

#include <optional>
#include <string>
#include <vector>

#include "cli/plan_search.h"

namespace tide::cli {

struct Rival {
  std::string what;  ///< "chosen", "rule of thumb", "oracle", …
  std::string spec;
  std::optional<Candidate> candidate = {};  ///< of the method that was searched
  Judged judged = {};
};

/// Full attention first, then the chosen candidate.
std::vector<Rival> rivals_of(const PlanWork& work, const PlanChoice& choice, const PlanEvidence& evidence);

/// Decodes their answers, as a run's folder of its own. False after a signal. Throws WorkError.
bool validate(PlanWork& work, std::vector<Rival>& rivals);

}  // namespace tide::cli
