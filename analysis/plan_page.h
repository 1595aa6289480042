#pragma once
// The page of a plan: why these layers. Figures and report.html from plan.json and the head map beside it.

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/report_plotly.h"

namespace tide::analysis {

/// Reads `folder`/plan.json (contracts: plan) and, where it names one, its head map; writes plan_layers (the
/// best log-probability with each layer among the selection layers), plan_map (mass that sets of one layer
/// hold in another, chosen layers marked), plan_map_share (the same as a share of what the reading layer's
/// own sets hold), plan_frontier and plan_validation as PNG and SVG, and report.html. Returns what the page
/// says in sentences. Throws InputError: a file that is no plan's; WorkError.
std::vector<std::string> write_plan_page(const std::filesystem::path& folder,
                                         PlotlyPlace plotly = PlotlyPlace::inlined);

}  // namespace tide::analysis
