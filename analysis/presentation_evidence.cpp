// Figures and curves of what methods hold of the evidence.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/figures.h"
#include "analysis/presentation.h"
#include "analysis/sweep_summary.h"

namespace tide::analysis {
namespace {

std::vector<std::string> names_of(const std::vector<EvidenceMeter>& meters) {
  std::vector<std::string> policies;
  for (const EvidenceMeter& meter : meters) policies.push_back(meter.policy());
  return names_of_policies(policies);
}

/// The meter of most steps among those that know full attention's weights; null: there is none.
const EvidenceMeter* best_weighed(const std::vector<EvidenceMeter>& meters) {
  const EvidenceMeter* best = nullptr;
  for (const EvidenceMeter& meter : meters) {
    if (meter.mass().n_samples() == 0 || std::isnan(mean_of_finite(meter.mass().mean()))) continue;
    if (best == nullptr || meter.steps() > best->steps()) best = &meter;
  }
  return best;
}

/// Means over the query heads, by layer; NaN: nothing measured there.
Eigen::VectorXd by_layer(const SampleMatrix& samples) {
  const Eigen::MatrixXd values = samples.mean();
  Eigen::VectorXd means(values.rows());
  for (Eigen::Index layer = 0; layer < values.rows(); ++layer)
    means(layer) = mean_of_finite(values.row(layer));
  return means;
}

LineSeries series_of(const SampleMatrix& samples, std::string name) {
  LineSeries series;
  series.name = std::move(name);
  const Eigen::VectorXd means = by_layer(samples);
  for (Eigen::Index layer = 0; layer < means.size(); ++layer) {
    series.x.push_back(static_cast<double>(layer));
    series.y.push_back(means(layer));
  }
  return series;
}

void head_figure(const std::filesystem::path& folder, const Analysis& a, const EvidenceMeter& meter) {
  const Eigen::MatrixXd mass = meter.mass().mean();
  Heatmap map;
  map.title = "Full attention's weight on the tokens that carry the answer";
  map.subtitle =
      fmt::format("{}, {} prompts, {} steps", a.model.model_name, meter.n_samples(), meter.steps());
  map.x_label = "query head";
  map.y_label = "layer";
  map.value_label = "attention mass (share)";
  map.n_rows = mass.rows();
  map.n_columns = mass.cols();
  for (Eigen::Index i = 0; i < mass.rows(); ++i) {
    for (Eigen::Index j = 0; j < mass.cols(); ++j) map.value.push_back(static_cast<float>(mass(i, j)));
  }
  map.low = 0.0;
  write_heatmap(folder / "evidence_heads", map);
}

void held_figure(const std::filesystem::path& folder, const Analysis& a, const EvidenceMeter& weighed) {
  const auto names = names_of(a.evidence);
  LineChart chart;
  chart.title = "Attention on the tokens that carry the answer, as far as each method reads it";
  chart.subtitle = fmt::format("{}, full attention's weights", a.model.model_name);
  chart.x_label = "layer";
  chart.y_label = "attention mass on positions read (mean over heads)";
  chart.y_low = 0.0;
  for (std::size_t i = 0; i < a.evidence.size(); ++i) {
    const EvidenceMeter& meter = a.evidence[i];
    if (&meter == &weighed || std::isnan(mean_of_finite(meter.mass_held().mean()))) continue;
    chart.series.push_back(series_of(meter.mass_held(), names[i]));
  }
  LineSeries all = series_of(weighed.mass(), "all there is");
  all.bound = true;
  chart.series.push_back(std::move(all));
  write_line_chart(folder / "evidence_held", chart);
}

}  // namespace

void write_evidence_figures(const std::filesystem::path& folder, const Analysis& analysis) {
  const EvidenceMeter* weighed = best_weighed(analysis.evidence);
  if (weighed == nullptr) return;
  head_figure(folder, analysis, *weighed);
  held_figure(folder, analysis, *weighed);
}

std::vector<LayerCurve> evidence_curves(const Analysis& analysis) {
  std::vector<LayerCurve> curves;
  const auto names = names_of(analysis.evidence);
  const auto add = [&](const SampleMatrix& samples, std::string name) {
    LayerCurve curve{std::move(name), "share", {}, {}, {}};
    for (const double value : by_layer(samples)) curve.value.push_back(static_cast<float>(value));
    curves.push_back(std::move(curve));
  };
  for (std::size_t i = 0; i < analysis.evidence.size(); ++i) {
    const EvidenceMeter& meter = analysis.evidence[i];
    add(meter.held(), fmt::format("share of the answer's tokens that is read, {}", names[i]));
    if (std::isnan(mean_of_finite(meter.mass_held().mean()))) continue;
    add(meter.mass_held(), fmt::format("full attention's weight on the answer's tokens read, {}", names[i]));
  }
  return curves;
}

}  // namespace tide::analysis
