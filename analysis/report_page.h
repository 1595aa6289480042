#pragma once
// A page from its parts: template, style, scripts, data. Private to report*.cpp.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/report.h"

namespace tide::analysis {

/// The parts as they were at build time (analysis/report/, embedded by CMake).
extern const char* const kPageTemplate;
extern const char* const kPageStyle;
extern const char* const kCommonScript;
extern const char* const kRecordingScript;
extern const char* const kSweepScript;
extern const char* const kPlanScript;

/// RFC 4648.
std::string base64(std::string_view bytes);

/// A number with at most `digits` significant digits; null for NaN and infinities.
nlohmann::json json_number(double value, int digits = 4);
nlohmann::json json_numbers(const std::vector<float>& values, int digits = 4);

/// Writes a page; `data` has "kind" ("recording", "sweep" or "plan") and "title". Throws WorkError.
void write_page(const std::filesystem::path& out_html, const nlohmann::json& data, PlotlyPlace plotly);

/// The data inside a page of ours. Throws InputError.
nlohmann::json read_page_data(const std::filesystem::path& html);

/// The summary as JSON: `summary.json`, and the sweep page's data.
nlohmann::json sweep_json(const SweepSummary& summary);

}  // namespace tide::analysis
