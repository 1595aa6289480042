#include "analysis/plan_data.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/json_fields.h"

namespace tide::analysis {
namespace {

using nlohmann::json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// [n_layers, n_layers]: `of(source, reader)` where the map has heads, NaN elsewhere.
template <typename Of>
std::vector<float> by_pair(const HeadMap& map, const Of& of) {
  std::vector<float> value;
  for (std::size_t source = 0; source < map.mass.size(); ++source) {
    for (std::size_t reader = 0; reader < map.mass[source].size(); ++reader)
      value.push_back(map.mass[source][reader].empty() ? static_cast<float>(kNone) : of(source, reader));
  }
  return value;
}

}  // namespace

const json& Plan::rival(std::string_view what) const {
  for (const json& one : root.at("validation")) {
    if (one.at("what") == what) return one;
  }
  fail_input("plan.json: no '{}' in its validation", what);
}

std::string Plan::task_words() const {
  return fmt::format("{}, {} tokens, budget {}", root.at("task").get<std::string>(),
                     root.at("length").get<std::int64_t>(), root.at("budget").get<std::string>());
}

Plan read_plan(const std::filesystem::path& folder) {
  const auto path = folder / "plan.json";
  Plan plan;
  plan.root = read_json(path);
  try {
    plan.n_layers = plan.root.at("n_layers");
    plan.chosen = plan.root.at("chosen").get<std::vector<int>>();
    const std::filesystem::path map = plan.root.at("map").get<std::string>();
    // The plan's own map moves with its folder.
    const auto beside = folder / map.filename();
    if (!map.empty()) plan.map = read_head_map(std::filesystem::exists(beside) ? beside : map);
    if (plan.map && plan.root.contains("own_mass") && !plan.root["own_mass"].is_null())
      plan.own_mass = plan.root["own_mass"].get<std::vector<std::vector<double>>>();
    plan.rival("full attention");
    plan.rival("chosen");
  } catch (const json::exception& error) {
    fail_input("{}: {}; expected what `plan` writes", path.string(), error.what());
  }
  return plan;
}

std::string level_words(const Plan& plan, const json& level) {
  const int n_select = level.at("select_layers");
  std::string words = fmt::format("{} selection layer{}", n_select, n_select == 1 ? "" : "s");
  for (const json& other : plan.root.at("search")) {
    if (level.contains("budget") && other.at("budget") != level["budget"])
      return words + ", budget " + level["budget"].get<std::string>();
  }
  return words;
}

SearchMeasure search_measure(const Plan& plan) {
  if (plan.root.contains("criterion") && plan.root["criterion"] == "agree")
    return {"agree", "share of the answer's tokens decoded as full attention does"};
  return {"answer_logprob", "log-probability of the answer (nats a token)"};
}

std::vector<double> best_by_layer(const Plan& plan, const json& level) {
  std::vector<double> best(static_cast<std::size_t>(plan.n_layers), kNone);
  for (const json& placement : level.at("placements")) {
    const double worth = placement.at(search_measure(plan).key);
    for (const int layer : placement.at("select")) {
      double& there = best.at(static_cast<std::size_t>(layer));
      there = std::isnan(there) ? worth : std::max(there, worth);
    }
  }
  return best;
}

std::map<std::string, std::vector<std::pair<std::string, std::optional<double>>>> best_by_setting(
    const Plan& plan) {
  std::map<std::string, std::vector<std::pair<std::string, std::optional<double>>>> best;
  if (!plan.root.contains("searched")) return best;
  for (const auto& [name, values] : plan.root["searched"].items()) {
    if (values.size() < 2 || name == "budget") continue;
    for (const json& value : values) {
      std::optional<double> worth;
      for (const json& level : plan.root.at("search")) {
        if (level.at("budget") != plan.root.at("budget") ||
            level.at("select_layers").get<std::size_t>() != plan.chosen.size())
          continue;
        for (const json& one : level.at("placements")) {
          if (one.at("settings").at(name) != value) continue;
          const double measured = one.at(search_measure(plan).key);
          worth = std::max(worth.value_or(measured), measured);
        }
      }
      best[name].emplace_back(value.get<std::string>(), worth);
    }
  }
  return best;
}

std::vector<float> mass_of(const HeadMap& map) {
  return by_pair(map, [&](std::size_t source, std::size_t reader) {
    float sum = 0;
    for (const float mass : map.mass[source][reader]) sum += mass;
    return sum / static_cast<float>(map.mass[source][reader].size());
  });
}

std::vector<float> share_of_own(const Plan& plan) {
  if (plan.own_mass.empty()) return {};
  return by_pair(*plan.map, [&](std::size_t source, std::size_t reader) {
    const auto& mass = plan.map->mass[source][reader];
    double sum = 0;
    for (std::size_t head = 0; head < mass.size(); ++head)
      sum += mass[head] / plan.own_mass.at(reader).at(head);
    return static_cast<float>(sum / static_cast<double>(mass.size()));
  });
}

}  // namespace tide::analysis
