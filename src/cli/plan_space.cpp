#include "cli/plan_space.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/head_map.h"
#include "base/text.h"

namespace tide::cli {

namespace {

/// What the search may set of the methods that take selection layers.
struct Known {
  const char* name;
  bool forced;          ///< sinks, recent
  bool own_forced;      ///< which by default are the method's own ("paper")
  const char* sharing;  ///< by default
};
constexpr Known kKnown[] = {{"tidal", true, false, "head"},
                            {"kascade", true, false, "group"},
                            {"lessismore", true, true, "all"},
                            {"omnikv", false, false, "all"}};

const Known* known(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& one) { return name == one.name; });
  return found == std::end(kKnown) ? nullptr : found;
}

/// Those given, or `usual` without repetitions.
std::vector<std::string> values_of(const PlanMethod& method, const std::string& key,
                                   const std::vector<std::int64_t>& usual) {
  const auto given = method.given.find(key);
  if (given != method.given.end()) return given->second;
  std::vector<std::string> values;
  if (known(method.name)->own_forced) values.push_back("paper");
  for (const std::int64_t value : usual) {
    const std::string text = std::to_string(value);
    if (std::find(values.begin(), values.end(), text) == values.end()) values.push_back(text);
  }
  return values;
}

/// Positions that a setting forces into every set; the method's own are inside whatever the budget.
std::int64_t forced(const MethodSettings& settings, const std::string& key) {
  const auto found = settings.find(key);
  if (found == settings.end() || found->second == "paper") return 0;
  return parse_integer(found->second, "--method: " + key);
}

/// Drops values that leave no room beside `others` positions, unless that leaves none.
void keep_room(std::vector<std::string>& values, const std::string& key, std::int64_t others,
               std::int64_t budget) {
  auto fitting = values;
  std::erase_if(fitting, [&](const std::string& value) {
    return forced({{key, value}}, key) + others >= budget;
  });
  if (!fitting.empty()) values = std::move(fitting);
}

std::vector<SettingAxis> axes_of(const PlanMethod& method, const PlanMaps& maps, const std::string& budget,
                                 std::int64_t positions) {
  std::vector<SettingAxis> axes = {{"budget", {budget}}};
  for (const auto& [key, values] : method.given) {
    if (!method.takes(key)) axes.push_back({key, values});
  }
  if (method.takes("sinks")) {
    const std::int64_t most = positions / 4;
    auto sinks = values_of(method, "sinks",
                           {std::min<std::int64_t>(2, most), 0, std::min<std::int64_t>(1, most),
                            std::min<std::int64_t>(4, most)});
    auto recent =
        values_of(method, "recent", {positions / 8, 0, positions / 16, positions / 4, positions / 2});
    if (recent.size() == 1) keep_room(sinks, "sinks", forced({{"recent", recent[0]}}, "recent"), positions);
    keep_room(recent, "recent", forced({{"sinks", sinks[0]}}, "sinks"), positions);
    axes.push_back({"sinks", sinks});
    axes.push_back({"recent", recent});
  }
  if (method.takes("sharing")) axes.push_back({"sharing", method.sharings()});
  if (method.takes("map")) axes.push_back({"map", maps.names});
  return axes;
}

}  // namespace

PlanMethod PlanMethod::parse(const std::string& text) {
  const auto colon = text.find(':');
  PlanMethod method{text.substr(0, colon), {}};
  if (colon == std::string::npos) return method;
  for (const std::string& field : split(text.substr(colon + 1), ',')) {
    const auto equals = field.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == field.size())
      fail_input("--method {}: '{}' is not of the form key=value or key=value|value", text, field);
    const std::string key = field.substr(0, equals);
    for (const auto& [ours, option] :
         {std::pair("budget", "--budget"), std::pair("map", "--map"), std::pair("select", "--select-layers"),
          std::pair("placement", "--select-layers"), std::pair("full", "--first")}) {
      if (key == ours) fail_input("--method {}: key '{}' is what {} says", text, key, option);
    }
    const auto values = split(field.substr(equals + 1), '|');
    if (std::find(values.begin(), values.end(), "") != values.end())
      fail_input("--method {}: key '{}' has an empty value", text, key);
    if (!method.given.emplace(key, values).second)
      fail_input("--method {}: key '{}' is given twice", text, key);
  }
  return method;
}

bool PlanMethod::takes(const std::string& key) const {
  const Known* method = known(name);
  if (!method) return false;
  return key == "sharing" || key == "map" || (method->forced && (key == "sinks" || key == "recent"));
}

std::vector<std::string> PlanMethod::sharings() const {
  if (given.contains("sharing")) return given.at("sharing");
  const Known* method = known(name);
  if (!method) return {};
  std::vector<std::string> all = {method->sharing};
  for (const char* other : {"head", "group", "all"}) {
    if (all.front() != other) all.emplace_back(other);
  }
  return all;
}

std::string map_unit(const std::string& sharing) {
  return sharing == "head" ? "query_head" : sharing == "group" ? "kv_head" : "";
}

PlanMaps plan_maps(const std::string& option, const std::vector<int>& ks, const std::filesystem::path& folder,
                   PlanMethod& method) {
  if (option == "none") return {{"none"}, {}};
  if (option.starts_with('@')) {
    const std::string file = option.substr(1), unit = read_head_map(file).unit;
    auto sharings = method.sharings();
    std::erase_if(sharings, [&](const std::string& sharing) { return map_unit(sharing) != unit; });
    if (sharings.empty())
      fail_input("--map {}: it maps {}; --method {} shares by none of these", option, unit, method.name);
    method.given["sharing"] = sharings;
    return {{"file"}, {{"file", {{unit, file}}}}};
  }
  const std::string sources = option == "auto" ? "text" : option;
  if (sources != "text" && sources != "task" && sources != "text+task")
    fail_input("--map {}: expected auto, text, task, text+task, none or @FILE", option);
  if (ks.empty()) fail_input("--map-k: names no number of positions");
  std::vector<int> order(ks);  // the middle one first
  std::swap(order.front(), order[order.size() / 2]);
  PlanMaps maps;
  for (const std::string& source : split(sources, '+')) {
    for (const int k : order) {
      const std::string name = fmt::format("{}-{}", source, k);
      maps.names.push_back(name);
      for (const std::string& sharing : method.sharings()) {
        const std::string unit = map_unit(sharing);
        if (!unit.empty())
          maps.files[name][unit] = folder / "headmaps" / fmt::format("{}-{}.json", name, sharing);
      }
    }
  }
  maps.names.emplace_back("none");
  return maps;
}

std::int64_t budget_positions(const std::string& budget, std::int64_t length) {
  if (!budget.ends_with('%')) return parse_integer(budget, "--budget");
  const double percent = parse_number(budget.substr(0, budget.size() - 1), "--budget");
  return static_cast<std::int64_t>(std::floor(percent * static_cast<double>(length) / 100));
}

SettingSpace setting_space(const PlanMethod& method, const PlanMaps& maps, const std::string& budget,
                           std::int64_t length) {
  const std::int64_t positions = budget_positions(budget, length);
  SettingSpace space{axes_of(method, maps, budget, positions), {}};
  space.fit = [maps, positions](MethodSettings& settings) {
    if (forced(settings, "sinks") + forced(settings, "recent") >= positions) return false;
    if (!settings.contains("map") || settings["map"] == "none") return true;
    const std::string unit = map_unit(settings["sharing"]);
    if (unit.empty()) settings["map"] = "none";  // one set for all heads
    return unit.empty() || maps.files.at(settings["map"]).contains(unit);
  };
  MethodSettings first;
  for (const SettingAxis& axis : space.axes) first[axis.name] = axis.values.front();
  if (!space.fit(first))
    fail_input("--budget {}: holds {} positions, sinks and recent of --method leave no room", budget,
               positions);
  return space;
}

std::string spec_of(const Candidate& candidate, const PlanMethod& method, const PlanMaps& maps) {
  std::string spec = method.name + ":select=" + candidate.layers(), sharing;
  for (const auto& [key, value] : candidate.settings) {
    if (key != "map") spec += fmt::format(",{}={}", key, value);
    if (key == "sharing") sharing = value;
  }
  const auto map = candidate.settings.find("map");
  if (map == candidate.settings.end() || map->second == "none") return spec;
  return spec + ",map=@" + maps.files.at(map->second).at(map_unit(sharing)).string();
}

}  // namespace tide::cli
