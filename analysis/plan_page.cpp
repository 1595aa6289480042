#include "analysis/plan_page.h"

#include <fmt/ranges.h>

#include "analysis/plan_data.h"
#include "analysis/plan_figures.h"
#include "analysis/report_page.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

using nlohmann::json;

std::string judged_words(const json& rival) {
  return fmt::format("{} of {} right ({:.0f} %, 95 % interval {:.0f}-{:.0f})", rival.at("correct").get<int>(),
                     rival.at("n").get<int>(), 100 * rival.at("accuracy").get<double>(),
                     100 * rival.at("low").get<double>(), 100 * rival.at("high").get<double>());
}

/// Which settings were taken, and what the others were worth.
void add_settings(const Plan& plan, std::vector<std::string>& findings) {
  for (const auto& [name, values] : best_by_setting(plan)) {
    std::vector<std::string> others;
    for (const auto& [value, worth] : values) {
      if (worth) others.push_back(fmt::format("{} ({:.3f})", value, *worth));
    }
    findings.push_back(fmt::format("{} = {}: the best {} with each value that was tried: {}.", name,
                                   plan.root.at("settings").at(name).get<std::string>(),
                                   search_measure(plan).words, fmt::join(others, ", ")));
  }
  if (!plan.root.contains("smallest")) return;
  for (const json& one : plan.root["smallest"]) {
    const int n_select = one.at("select_layers");
    const std::string layers = fmt::format("{} selection layer{}", n_select, n_select == 1 ? "" : "s");
    findings.push_back(
        one.at("budget").is_null()
            ? fmt::format("With {} no budget that was tried reaches the floor on validation.", layers)
            : fmt::format("With {} the smallest budget that reaches the floor on validation is {}: {}.",
                          layers, one["budget"].get<std::string>(), judged_words(one)));
  }
}

std::vector<std::string> findings_of(const Plan& plan) {
  const json &full = plan.rival("full attention"), &chosen = plan.rival("chosen");
  const double rows = chosen.at("rows_read"), of_full = full.at("rows_read");
  std::vector<std::string> findings = {
      fmt::format("{}: layers {} select, those before read everything, the others what was chosen last: {} "
                  "on samples that "
                  "the search has not seen, where full attention has {}; {:.0f} rows read (KV head, layer "
                  "and step) for {:.0f}, "
                  "{:.1f} times fewer.",
                  plan.task_words(), fmt::join(plan.chosen, "+"), judged_words(chosen), judged_words(full),
                  rows, of_full, of_full / rows)};
  for (const json& rival : plan.root.at("validation")) {
    const std::string what = rival.at("what");
    if (what != "full attention" && what != "chosen")
      findings.push_back(fmt::format("{}: {}, {:.0f} rows read.", what, judged_words(rival),
                                     rival.at("rows_read").get<double>()));
  }
  if (plan.root.contains("latency") && chosen.contains("predicted_ms")) {
    const json& latency = plan.root.at("latency");
    findings.push_back(
        fmt::format("A step takes {:.1f} ms for full attention's {:.1f} (batch 1, by a model fitted to {} "
                    "measurements on this "
                    "machine; on {} held-out placements it is {:.1f} % off, at most {:.1f} %).",
                    chosen.at("predicted_ms").get<double>(), full.at("predicted_ms").get<double>(),
                    latency.at("fitted").size(), latency.at("held_out").size(),
                    100 * latency.at("held_out_error_mean").get<double>(),
                    100 * latency.at("held_out_error_largest").get<double>()));
  }
  const SearchMeasure measure = search_measure(plan);
  for (const json& level : plan.root.at("search")) {
    const json& best = level.at("placements").front();
    const std::string name =
        best.contains("candidate")
            ? best["candidate"].get<std::string>()
            : fmt::format("{}", fmt::join(best.at("select").get<std::vector<int>>(), "+"));
    findings.push_back(fmt::format("Search with {}: {} candidates{}, the best {} ({}: {:.3f}).",
                                   level_words(plan, level), level.at("placements").size(),
                                   level.at("exhaustive").get<bool>() ? " (every placement among them)" : "",
                                   name, measure.words, best.at(measure.key).get<double>()));
  }
  add_settings(plan, findings);
  return findings;
}

json page_data(const Plan& plan, const std::vector<std::string>& findings) {
  json data = plan.root;
  data["kind"] = "plan";
  data["title"] = "Placement: " + plan.task_words();
  data["findings"] = findings;
  data["measure"] = search_measure(plan).words;
  data["best_by_layer"] = json::array();
  for (const json& level : plan.root.at("search")) {
    json best = json::array();
    for (const double value : best_by_layer(plan, level)) best.push_back(json_number(value));
    data["best_by_layer"].push_back({{"name", level_words(plan, level)}, {"value", best}});
  }
  if (plan.map) {
    data["mass"] = json_numbers(mass_of(*plan.map));
    data["map_from"] = plan.map->made_from;
    data["k"] = plan.map->k;
    if (!plan.own_mass.empty()) data["mass_share"] = json_numbers(share_of_own(plan));
  }
  data["best_by_setting"] = json::object();
  for (const auto& [name, values] : best_by_setting(plan)) {
    for (const auto& [value, worth] : values) {
      json entry = {{"value", value}, {"measure", nullptr}};
      if (worth) entry["measure"] = *worth;
      data["best_by_setting"][name].push_back(std::move(entry));
    }
  }
  return data;
}

}  // namespace

std::vector<std::string> write_plan_page(const std::filesystem::path& folder, PlotlyPlace plotly) {
  const Plan plan = read_plan(folder);
  try {
    const auto findings = findings_of(plan);
    draw_plan(folder, plan);
    write_page(folder / "report.html", page_data(plan, findings), plotly);
    return findings;
  } catch (const json::exception& error) {
    fail_input("{}: {}; expected what `plan` writes", (folder / "plan.json").string(), error.what());
  }
}

}  // namespace tide::analysis
