#include "analysis/plan_page.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "analysis/figures.h"
#include "analysis/report_page.h"
#include "base/error.h"
#include "base/file.h"
#include "base/head_map.h"
#include "base/json_fields.h"

namespace tide::analysis {
namespace {

using nlohmann::json;

/// What plan.json says, with the numbers that pages and figures draw.
struct Plan {
  json root;
  int n_layers = 0;
  std::vector<int> chosen;
  std::optional<HeadMap> map;

  const json& rival(std::string_view what) const {
    for (const json& one : root.at("validation")) {
      if (one.at("what") == what) return one;
    }
    fail_input("plan.json: no '{}' in its validation", what);
  }
};

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
    plan.rival("full attention");
    plan.rival("chosen");
  } catch (const json::exception& error) {
    fail_input("{}: {}; expected what `plan` writes", path.string(), error.what());
  }
  return plan;
}

/// By layer, the best mean log-probability among the level's placements that select there; NaN: none does.
std::vector<double> best_by_layer(const json& level, int n_layers) {
  std::vector<double> best(static_cast<std::size_t>(n_layers), std::numeric_limits<double>::quiet_NaN());
  for (const json& placement : level.at("placements")) {
    const double worth = placement.at("answer_logprob");
    for (const int layer : placement.at("select")) {
      double& there = best.at(static_cast<std::size_t>(layer));
      there = std::isnan(there) ? worth : std::max(there, worth);
    }
  }
  return best;
}

std::string task_words(const Plan& plan) {
  return fmt::format("{}, {} tokens, budget {}", plan.root.at("task").get<std::string>(),
                     plan.root.at("length").get<std::int64_t>(), plan.root.at("budget").get<std::string>());
}

std::string judged_words(const json& rival) {
  return fmt::format("{} of {} right ({:.0f} %, 95 % interval {:.0f}-{:.0f})", rival.at("correct").get<int>(),
                     rival.at("n").get<int>(), 100 * rival.at("accuracy").get<double>(),
                     100 * rival.at("low").get<double>(), 100 * rival.at("high").get<double>());
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
                  task_words(plan), fmt::join(plan.chosen, "+"), judged_words(chosen), judged_words(full),
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
  for (const json& level : plan.root.at("search")) {
    const json& best = level.at("placements").front();
    findings.push_back(fmt::format(
        "Search with {} selection layer{}: {} placements{}, the best {} ({:.3f} nats a token).",
        level.at("select_layers").get<int>(), level.at("select_layers") == 1 ? "" : "s",
        level.at("placements").size(), level.at("exhaustive").get<bool>() ? " (all there are)" : "",
        fmt::join(best.at("select").get<std::vector<int>>(), "+"), best.at("answer_logprob").get<double>()));
  }
  return findings;
}

void draw_layers(const std::filesystem::path& folder, const Plan& plan) {
  LineChart chart;
  chart.title = "What a selection layer is worth";
  chart.subtitle = task_words(plan) + ": the best placement that has this layer among its selection layers";
  chart.x_label = "layer";
  chart.y_label = "log-probability of the answer (nats a token)";
  for (const json& level : plan.root.at("search")) {
    LineSeries series;
    const int n_select = level.at("select_layers");
    series.name = fmt::format("{} selection layer{}", n_select, n_select == 1 ? "" : "s");
    series.y = best_by_layer(level, plan.n_layers);
    for (int layer = 0; layer < plan.n_layers; ++layer) series.x.push_back(layer);
    chart.series.push_back(std::move(series));
  }
  for (const int layer : plan.chosen)
    chart.vertical.push_back({static_cast<double>(layer), std::to_string(layer)});
  write_line_chart(folder / "plan_layers", chart);
}

/// [n_layers, n_layers]: mean over heads of the mass; NaN on and below the diagonal.
std::vector<float> mass_of(const HeadMap& map) {
  std::vector<float> value;
  for (const auto& of_source : map.mass) {
    for (const auto& heads : of_source) {
      float sum = 0;
      for (const float mass : heads) sum += mass;
      value.push_back(heads.empty() ? std::numeric_limits<float>::quiet_NaN()
                                    : sum / static_cast<float>(heads.size()));
    }
  }
  return value;
}

void draw_map(const std::filesystem::path& folder, const Plan& plan) {
  if (!plan.map) return;
  Heatmap figure;
  figure.title = "What one layer's choice holds of another's attention";
  figure.subtitle = fmt::format("k = {}, each head with the head that serves it best; {}", plan.map->k,
                                plan.map->made_from);
  figure.x_label = "reading layer";
  figure.y_label = "choosing layer";
  figure.value_label = "attention mass on the chosen positions";
  figure.n_rows = figure.n_columns = plan.n_layers;
  figure.value = mass_of(*plan.map);
  for (const int layer : plan.chosen) figure.marks.push_back({HeatmapMark::Kind::row, layer, 0});
  figure.marks_label = "selection layers";
  write_heatmap(folder / "plan_map", figure);
}

void draw_validation(const std::filesystem::path& folder, const Plan& plan) {
  RangeChart chart;
  chart.title = "Validation";
  chart.subtitle =
      fmt::format("{}, n = {}, 95 % intervals", task_words(plan), plan.rival("chosen").at("n").get<int>());
  chart.x_label = "right answers (%)";
  for (const json& rival : plan.root.at("validation")) {
    const auto percent = [&](const char* key) { return 100 * rival.at(key).get<double>(); };
    chart.rows.push_back({fmt::format("{} ({:.0f} rows)", rival.at("what").get<std::string>(),
                                      rival.at("rows_read").get<double>()),
                          percent("accuracy"), percent("low"), percent("high"), ""});
  }
  write_range_chart(folder / "plan_validation", chart);
}

json page_data(const Plan& plan, const std::vector<std::string>& findings) {
  json data = plan.root;
  data["kind"] = "plan";
  data["title"] = "Placement: " + task_words(plan);
  data["findings"] = findings;
  data["best_by_layer"] = json::array();
  for (const json& level : plan.root.at("search")) {
    json best = json::array();
    for (const double value : best_by_layer(level, plan.n_layers)) best.push_back(json_number(value));
    data["best_by_layer"].push_back({{"select_layers", level.at("select_layers")}, {"value", best}});
  }
  if (plan.map) {
    data["mass"] = json_numbers(mass_of(*plan.map));
    data["map_from"] = plan.map->made_from;
    data["k"] = plan.map->k;
  }
  return data;
}

}  // namespace

std::vector<std::string> write_plan_page(const std::filesystem::path& folder, PlotlyPlace plotly) {
  const Plan plan = read_plan(folder);
  try {
    const auto findings = findings_of(plan);
    draw_layers(folder, plan);
    draw_map(folder, plan);
    draw_validation(folder, plan);
    write_page(folder / "report.html", page_data(plan, findings), plotly);
    return findings;
  } catch (const json::exception& error) {
    fail_input("{}: {}; expected what `plan` writes", (folder / "plan.json").string(), error.what());
  }
}

}  // namespace tide::analysis
