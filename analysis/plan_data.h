#pragma once
// What a plan's folder says, with the numbers that its page and figures draw.

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/head_map.h"

namespace tide::analysis {

struct Plan {
  nlohmann::json root;  ///< plan.json
  int n_layers = 0;
  std::vector<int> chosen;
  std::optional<HeadMap> map;
  std::vector<std::vector<double>> own_mass;  ///< [n_layers][heads of the map's unit]; empty: not known

  /// One of the validation's. Throws InputError: there is none of the name.
  const nlohmann::json& rival(std::string_view what) const;
  std::string task_words() const;  ///< "needle, 1024 tokens, budget 32"
};

/// Reads plan.json and the map that it names, which may have moved with the folder. Throws InputError.
Plan read_plan(const std::filesystem::path& folder);

/// "2 selection layers", and at which budget where the search had several.
std::string level_words(const Plan& plan, const nlohmann::json& level);

/// What the search went by, as a number of a candidate: its key in plan.json, and its name.
struct SearchMeasure {
  const char* key;
  const char* words;
};
SearchMeasure search_measure(const Plan& plan);

/// By layer, the best search measure among the level's placements that select there; NaN: none does.
std::vector<double> best_by_layer(const Plan& plan, const nlohmann::json& level);

/// By setting and value, the best search measure among the candidates at the chosen budget and number of
/// selection layers; settings with one value are left out, values that were not looked at have none.
std::map<std::string, std::vector<std::pair<std::string, std::optional<double>>>> best_by_setting(
    const Plan& plan);

/// [n_layers, n_layers]: mean over heads of the mass; NaN on and below the diagonal.
std::vector<float> mass_of(const HeadMap& map);

/// The same as a share of what each head's own set holds; empty where that is not known.
std::vector<float> share_of_own(const Plan& plan);

}  // namespace tide::analysis
