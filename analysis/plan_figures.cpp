#include "analysis/plan_figures.h"

#include <fmt/ranges.h>

#include "analysis/figures.h"

namespace tide::analysis {
namespace {

using nlohmann::json;

void draw_layers(const std::filesystem::path& folder, const Plan& plan) {
  LineChart chart;
  chart.title = "What a selection layer is worth";
  chart.subtitle = plan.task_words() + ": the best placement that has this layer among its selection layers";
  chart.x_label = "layer";
  chart.y_label = search_measure(plan).words;
  for (const json& level : plan.root.at("search")) {
    LineSeries series;
    series.name = level_words(plan, level);
    series.y = best_by_layer(plan, level);
    for (int layer = 0; layer < plan.n_layers; ++layer) series.x.push_back(layer);
    chart.series.push_back(std::move(series));
  }
  for (const int layer : plan.chosen)
    chart.vertical.push_back({static_cast<double>(layer), std::to_string(layer)});
  write_line_chart(folder / "plan_layers", chart);
}

Heatmap pairs_of_layers(const Plan& plan, std::vector<float> value) {
  Heatmap figure;
  figure.subtitle = fmt::format("k = {}, each head with the head that serves it best; {}", plan.map->k,
                                plan.map->made_from);
  figure.x_label = "reading layer";
  figure.y_label = "choosing layer";
  figure.n_rows = figure.n_columns = plan.n_layers;
  figure.value = std::move(value);
  for (const int layer : plan.chosen) figure.marks.push_back({HeatmapMark::Kind::row, layer, 0});
  figure.marks_label = "selection layers";
  return figure;
}

void draw_map(const std::filesystem::path& folder, const Plan& plan) {
  if (!plan.map) return;
  Heatmap mass = pairs_of_layers(plan, mass_of(*plan.map));
  mass.title = "What one layer's choice holds of another's attention";
  mass.value_label = "attention mass on the chosen positions";
  write_heatmap(folder / "plan_map", mass);
  if (plan.own_mass.empty()) return;
  Heatmap share = pairs_of_layers(plan, share_of_own(plan));
  share.title = "What one layer's choice holds of what the reading layer's own would";
  share.value_label = "share of the own choice's attention mass";
  share.low = 0;
  share.high = 1;
  write_heatmap(folder / "plan_map_share", share);
}

/// "2+14 at 32".
std::string name_of(const json& candidate) {
  return fmt::format("{} at {}", fmt::join(candidate.at("select").get<std::vector<int>>(), "+"),
                     candidate.at("settings").at("budget").get<std::string>());
}

FrontierPoint point_of(const json& judged, std::string label, std::string group) {
  FrontierPoint point;
  point.label = std::move(label);
  point.x = judged.at("rows_read");
  point.y = 100 * judged.at("accuracy").get<double>();
  point.y_low = 100 * judged.at("low").get<double>();
  point.y_high = 100 * judged.at("high").get<double>();
  point.group = std::move(group);
  return point;
}

void draw_frontier(const std::filesystem::path& folder, const Plan& plan) {
  if (!plan.root.contains("frontier")) return;
  ScatterFrontier figure;
  figure.title = "What rows read buy";
  figure.subtitle =
      plan.task_words() + ": the best of each budget and number of selection layers, 95 % intervals";
  figure.x_label = "K/V rows read (per KV head, layer and step)";
  figure.y_label = "right answers (%)";
  figure.log_x = true;
  figure.y_low = 0;
  figure.y_high = 100;
  for (const json& one : plan.root.at("frontier")) {
    figure.points.push_back(
        point_of(one, name_of(one), fmt::format("choice (n = {})", one.at("n").get<int>())));
  }
  for (const json& rival : plan.root.at("validation")) {
    const std::string what = rival.at("what");
    const bool found = what == "chosen" || what.starts_with("best with");
    const bool reference = what == "full attention";
    const std::string name = found ? name_of(rival) : what;
    figure.points.push_back(point_of(
        rival, name,
        fmt::format("{} (n = {})", found ? "validation" : "not searched", rival.at("n").get<int>())));
    figure.points.back().reference = reference;
  }
  write_frontier(folder / "plan_frontier", figure);
}

void draw_validation(const std::filesystem::path& folder, const Plan& plan) {
  RangeChart chart;
  chart.title = "Validation";
  chart.subtitle =
      fmt::format("{}, n = {}, 95 % intervals", plan.task_words(), plan.rival("chosen").at("n").get<int>());
  chart.x_label = "right answers (%)";
  for (const json& rival : plan.root.at("validation")) {
    const auto percent = [&](const char* key) { return 100 * rival.at(key).get<double>(); };
    chart.rows.push_back({fmt::format("{} ({:.0f} rows)", rival.at("what").get<std::string>(),
                                      rival.at("rows_read").get<double>()),
                          percent("accuracy"), percent("low"), percent("high"), ""});
  }
  write_range_chart(folder / "plan_validation", chart);
}

}  // namespace

void draw_plan(const std::filesystem::path& folder, const Plan& plan) {
  draw_layers(folder, plan);
  draw_map(folder, plan);
  draw_frontier(folder, plan);
  draw_validation(folder, plan);
}

}  // namespace tide::analysis
