#pragma once
// The figures of a plan.

#include <filesystem>

#include "analysis/plan_data.h"

namespace tide::analysis {

/// plan_layers, plan_map, plan_map_share, plan_frontier, plan_validation as PNG and SVG in `folder`; those of
/// a head map or a frontier only where the plan has one. Throws WorkError.
void draw_plan(const std::filesystem::path& folder, const Plan& plan);

}  // namespace tide::analysis
