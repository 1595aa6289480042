#pragma once
// What `plan` measures before it searches: head maps, and how well one layer's choice serves another.

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cli/plan_stages.h"

namespace tide::cli {

struct PlanEvidence {
  nlohmann::json report;  ///< similarity, importance, what they are of, and the placements below
  /// By number of selection layers: where layer similarity times importance would put them (Kascade, arXiv
  /// 2512.16391, section 3.3), the first at the plan's own first layer.
  std::map<int, std::vector<int>> placements;
};

/// Passes blocks of plain text, and the search's samples where maps of the task are wanted, and writes the
/// maps that candidates may name. Nothing after a signal. Throws InputError.
std::optional<PlanEvidence> measure_evidence(PlanWork& work);

}  // namespace tide::cli
