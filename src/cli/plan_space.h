#pragma once
// Which settings of a method `plan` may choose, and what a candidate is as a policy spec.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "search/settings.h"

namespace tide::cli {

/// `--method`: what of the method is fixed and what the user lets be chosen. `tidal:recent=4,sinks=0|2`
/// fixes recent and leaves two values to sinks; a setting that is not named is free.
struct PlanMethod {
  std::string name;
  std::map<std::string, std::vector<std::string>> given;  ///< by key: its values

  /// Throws InputError: no such spec, a key that options of `plan` say.
  static PlanMethod parse(const std::string& text);
  /// Whether the search may set this key. Methods that take selection layers are known; of others nothing is.
  bool takes(const std::string& key) const;
  /// Values of `sharing`: those given, or all that the method takes, its own default first.
  std::vector<std::string> sharings() const;
};

/// Head maps that candidates may name.
struct PlanMaps {
  std::vector<std::string> names = {};  ///< what `map` may be, the first to begin with; "none": without
  /// By name, then unit ("query_head", "kv_head").
  std::map<std::string, std::map<std::string, std::filesystem::path>> files = {};
};

/// The map names of `--map` (auto, text, task, text+task, none, @FILE): "text-64" is the map made of plain
/// text for sets of 64 positions, "file" is the given one. Made ones stand in `folder`. A given map must be
/// sound, and `method` is left with the sharing that it serves. Throws InputError.
PlanMaps plan_maps(const std::string& option, const std::vector<int>& ks, const std::filesystem::path& folder,
                   PlanMethod& method);

/// The unit whose map a sharing takes; empty: none.
std::string map_unit(const std::string& sharing);

/// Positions of "64", or of "5%" of `length`. Throws InputError.
std::int64_t budget_positions(const std::string& budget, std::int64_t length);

/// Sinks, recent positions (as shares of the budget), sharing and head map, as far as the method takes them
/// and they are free. `budget` is a setting with one value. Throws InputError: a value that is no number,
/// nothing fits into the budget.
SettingSpace setting_space(const PlanMethod& method, const PlanMaps& maps, const std::string& budget,
                           std::int64_t length);

/// "tidal:budget=32,map=@…,recent=4,select=2+14,sinks=2".
std::string spec_of(const Candidate& candidate, const PlanMethod& method, const PlanMaps& maps);

}  // namespace tide::cli
