#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "analysis/figures.h"
#include "analysis/presentation.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

std::string subtitle(const Analysis& analysis) {
  std::int64_t steps = 0, samples = 0;
  for (const auto& sample : analysis.samples) {
    if (!sample.in_maps) continue;
    steps += sample.steps;
    ++samples;
  }
  return fmt::format("{}, {} recording{}, {} steps", analysis.model.model_name, samples,
                     samples == 1 ? "" : "s", steps);
}

Heatmap layer_map(const Analysis& analysis, const Eigen::MatrixXd& values, std::string title,
                  std::string value_label) {
  Heatmap map;
  map.title = std::move(title);
  map.subtitle = subtitle(analysis);
  map.value_label = std::move(value_label);
  map.n_rows = values.rows();
  map.n_columns = values.cols();
  for (Eigen::Index i = 0; i < values.rows(); ++i) {
    for (Eigen::Index j = 0; j < values.cols(); ++j) map.value.push_back(static_cast<float>(values(i, j)));
  }
  map.low = 0.0;
  map.high = 1.0;
  return map;
}

void overlap_figures(const std::filesystem::path& folder, const Analysis& a, std::size_t n, int k) {
  const std::pair<const char*, const OverlapMeter*> variants[] = {
      {"head", &a.overlap_head}, {"group", &a.overlap_group}, {"layer", &a.overlap_layer}};
  for (const auto& [name, meter] : variants) {
    Heatmap map =
        layer_map(a, meter->overlap(n).mean(), fmt::format("Overlap of top-{} positions, by {}", k, name),
                  fmt::format("overlap (share of k = {})", k));
    map.x_label = map.y_label = "layer";
    write_heatmap(folder / fmt::format("overlap_{}", name), map);
  }
}

void pair_figures(const std::filesystem::path& folder, const Analysis& a, std::size_t n, int k) {
  for (const bool mapped : {false, true}) {
    const std::string way = mapped ? "mapped" : "same_head", words = mapped ? "mapped heads" : "same head";
    Heatmap recall =
        layer_map(a, a.recall->recall(n, mapped).mean(), fmt::format("Recall of top-{}, {}", k, words),
                  fmt::format("recall (share of k = {})", k));
    Heatmap mass = layer_map(a, a.recall->mass(n, mapped).mean(), fmt::format("Mass on top-{}, {}", k, words),
                             "attention mass (share)");
    for (Heatmap* map : {&recall, &mass}) {
      map->x_label = "reading layer";
      map->y_label = "selection layer";
    }
    write_heatmap(folder / ("recall_" + way), recall);
    write_heatmap(folder / ("mass_" + way), mass);
  }
}

void reselection_figure(const std::filesystem::path& folder, const Analysis& a, const Findings& f,
                        std::size_t n) {
  if (f.reselect_same.layer < 0) return;
  LineChart chart;
  chart.title = fmt::format("Selection at layer {} and once more", kFirstSelect);
  chart.subtitle = subtitle(a);
  chart.x_label = "re-selection layer";
  chart.y_label = fmt::format("mean recall of later layers' top-{}", f.k);
  for (const bool mapped : {false, true}) {
    const Eigen::MatrixXd recall = a.recall->recall(n, mapped).mean();
    LineSeries series;
    series.name = mapped ? "mapped heads" : "same head";
    for (int second = kFirstSelect + 1; second < a.model.n_layers; ++second) {
      series.x.push_back(second);
      series.y.push_back(placement_recall(recall, kFirstSelect, second));
    }
    LineSeries alone;
    alone.name = fmt::format("layer {} alone, {}", kFirstSelect, series.name);
    alone.x = {series.x.front(), series.x.back()};
    alone.y.assign(2, mapped ? f.first_only_mapped : f.first_only_same);
    alone.dashed = true;
    alone.colour = series.colour = mapped ? 1 : 0;
    chart.series.push_back(std::move(series));
    chart.series.push_back(std::move(alone));
  }
  write_line_chart(folder / "reselection", chart);
}

void persistence_figure(const std::filesystem::path& folder, const Analysis& a, const Findings& f,
                        std::size_t n) {
  if (f.persistence.empty()) return;
  const Eigen::MatrixXd values = a.persistence.persistence(n).mean();
  LineChart chart;
  chart.title = fmt::format("Persistence of top-{} positions", f.k);
  chart.subtitle = subtitle(a);
  chart.x_label = "distance (steps)";
  chart.y_label = fmt::format("persistence (share of k = {})", f.k);
  chart.y_low = 0.0;
  chart.y_high = 1.0;
  const int last = a.model.n_layers - 1;
  std::vector<int> shown = {0, last / 4, last / 2, 3 * last / 4, last};
  shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
  for (const int layer : shown) {
    LineSeries series;
    series.name = fmt::format("layer {}", layer);
    for (Eigen::Index d = 0; d < values.cols(); ++d) {
      if (std::isnan(values(layer, d))) continue;
      series.x.push_back(static_cast<double>(d + 1));
      series.y.push_back(values(layer, d));
    }
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  write_line_chart(folder / "persistence", chart);
}

void union_figure(const std::filesystem::path& folder, const Analysis& a, std::size_t n, int k) {
  const Eigen::MatrixXd size = a.unions.size(n).mean();
  LineChart chart;
  chart.title = fmt::format("Positions in the union of the heads' top-{}", k);
  chart.subtitle = subtitle(a);
  chart.x_label = "layer";
  chart.y_label = fmt::format("positions (times k = {})", k);
  const std::pair<const char*, Eigen::Index> lines[] = {{"all heads", UnionMeter::kAll},
                                                        {"heads of a group", UnionMeter::kGroup}};
  for (const auto& [name, column] : lines) {
    LineSeries series;
    series.name = name;
    for (Eigen::Index layer = 0; layer < size.rows(); ++layer) {
      if (std::isnan(size(layer, column))) continue;
      series.x.push_back(static_cast<double>(layer));
      series.y.push_back(size(layer, column) / k);
    }
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  if (!chart.series.empty()) write_line_chart(folder / "union", chart);
}

/// "tidal:budget=64, select 2+14" of a canonical spec: what is empty says nothing, and a placement as
/// letters is as long as the model is deep.
std::string short_policy(const SetRecallMeter& sets) {
  std::string text;
  for (const std::string& part : split(sets.policy(), ',')) {
    const bool empty = part.ends_with("=none") || part.ends_with("=0");
    if (empty || part.find("placement=") != std::string::npos) continue;
    text += (text.empty() ? "" : ", ") + part;
  }
  std::string selects;
  for (std::size_t layer = 0; layer < sets.placement().size(); ++layer) {
    if (sets.placement()[layer] == 'S') selects += (selects.empty() ? "" : "+") + std::to_string(layer);
  }
  return selects.empty() ? text : text + ", select " + selects;
}

void set_figure(const std::filesystem::path& folder, const Analysis& a, std::size_t n, int k) {
  if (a.sets.empty()) return;
  LineChart chart;
  chart.title = fmt::format("Recorded sets against full attention's top-{}", k);
  chart.subtitle = a.sets.size() == 1 ? short_policy(a.sets[0]) : a.model.model_name;
  chart.x_label = "layer";
  chart.y_label = "recall (solid) and attention mass (dashed)";
  chart.y_low = 0.0;
  chart.y_high = 1.0;
  int colour = 0;
  for (const auto& sets : a.sets) {
    const Eigen::MatrixXd values = sets.values().mean();
    for (const Eigen::Index column : {static_cast<Eigen::Index>(n), sets.mass()}) {
      LineSeries series;
      series.dashed = column == sets.mass();
      series.name = series.dashed ? "mass" : "recall";
      if (a.sets.size() > 1) series.name += ", " + short_policy(sets);
      series.colour = colour;
      for (int layer = 0; layer < a.model.n_layers; ++layer) {
        if (!sets.has_layer(layer)) continue;
        series.x.push_back(layer);
        series.y.push_back(values(layer, column));
      }
      if (!series.x.empty()) chart.series.push_back(std::move(series));
    }
    ++colour;
  }
  if (!chart.series.empty()) write_line_chart(folder / "set_recall", chart);
}

}  // namespace

void write_analysis_figures(const std::filesystem::path& folder, const Analysis& analysis,
                            const Findings& findings) {
  const std::size_t n = headline_k_index(analysis);
  overlap_figures(folder, analysis, n, findings.k);
  pair_figures(folder, analysis, n, findings.k);
  reselection_figure(folder, analysis, findings, n);
  persistence_figure(folder, analysis, findings, n);
  union_figure(folder, analysis, n, findings.k);
  set_figure(folder, analysis, n, findings.k);
  write_evidence_figures(folder, analysis);
}

}  // namespace tide::analysis
