// Named values with their ranges, one below the other: what is timed, and how far its rounds spread.

#include <algorithm>
#include <cmath>

#include "analysis/figures.h"
#include "analysis/figures_axis.h"
#include "analysis/figures_gnuplot.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::array<int, 6> kMarkers = {7, 5, 9, 13, 11, 6};
constexpr double kPlotWidth = 400, kRowHeight = 20;
constexpr double kAbove = 0.3, kBelow = 0.9;  // of a row's height, free at the plot's ends

std::vector<std::string> groups_of(const RangeChart& chart) {
  std::vector<std::string> groups;
  for (const NamedRange& row : chart.rows) {
    if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
  }
  return groups;
}

void check(const RangeChart& chart) {
  if (chart.rows.empty()) fail_input("draw range chart {}: no rows", chart.title);
  for (const NamedRange& row : chart.rows) {
    if (row.low <= row.value && row.value <= row.high) continue;
    fail_input("draw range chart {}: {} is {}, outside its range {} to {}", chart.title, row.name, row.value,
               row.low, row.high);
  }
}

/// The first row on top: row i stands at n - 1 - i.
double height_of(const RangeChart& chart, std::size_t row) {
  return static_cast<double>(chart.rows.size() - 1 - row);
}

Canvas canvas_of(const RangeChart& chart, bool with_legend) {
  double names = 0, legend = 0;
  for (const NamedRange& row : chart.rows) {
    names = std::max(names, text_width(row.name, kSmallPoints));
    legend = std::max(legend, text_width(row.group, kSmallPoints) + 54);
  }
  Canvas canvas;
  canvas.title = chart.title;
  canvas.left = names + 28;
  canvas.top = chart.subtitle.empty() ? 40 : 56;
  canvas.right = canvas.left + kPlotWidth;
  canvas.bottom = canvas.top + kRowHeight * (height_of(chart, 0) + kAbove + kBelow);
  // the values stand to the right of the plot, the legend to the right of them
  canvas.width = std::max({canvas.right + 76 + (with_legend ? legend : 0),
                           28 + text_width(chart.title, kTitlePoints * 1.08),
                           28 + text_width(chart.subtitle, kSmallPoints)});
  canvas.height = canvas.bottom + 54;
  return canvas;
}

Axis value_axis(const RangeChart& chart) {
  AxisRange range(chart.log_x);
  for (const NamedRange& row : chart.rows) {
    range.add(row.low);
    range.add(row.high);
  }
  const bool from_zero = !chart.log_x && chart.rows.front().low >= 0;
  return range.axis(from_zero ? std::optional(0.0) : std::nullopt, std::nullopt, 8, 0.04);
}

/// Names at the left, values at the right.
std::string row_labels(const RangeChart& chart, const Canvas& canvas) {
  std::vector<double> heights;
  std::vector<std::string> names;
  std::string values;
  const double top = height_of(chart, 0) + kAbove;
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    heights.push_back(height_of(chart, i));
    names.push_back(chart.rows[i].name);
    const double y = canvas.top + (top - heights.back()) * kRowHeight;
    values +=
        pixel_label(canvas, canvas.right + 10, y, tick_text(chart.rows[i].value), kSmallPoints, kInk, "left");
  }
  return fmt::format("set yrange [{:.9g}:{:.9g}]\n", -kBelow, top) + tick_command("y", heights, names) +
         values;
}

std::string group_data(const RangeChart& chart, const std::string& group, std::size_t place) {
  std::string data = fmt::format("$g{} << END\n", place);
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    const NamedRange& row = chart.rows[i];
    if (row.group != group) continue;
    data += fmt::format("{:.9g} {:.9g} {:.9g} {:.9g}\n", row.value, height_of(chart, i), row.low, row.high);
  }
  return data + "END\n";
}

}  // namespace

void write_range_chart(const std::filesystem::path& stem, const RangeChart& chart, FigureFormats formats) {
  check(chart);
  const auto groups = groups_of(chart);
  const Canvas canvas = canvas_of(chart, groups.size() > 1);
  std::string body = frame_commands(canvas, chart.subtitle, chart.x_label, "");
  body += value_axis(chart).commands("x") + grid_commands() + row_labels(chart, canvas);
  if (groups.size() > 1) body += legend_commands(canvas, canvas.right + 66, canvas.top - 4, groups.size());
  std::string data, plot;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    data += group_data(chart, groups[g], g);
    plot += fmt::format(
        "{}$g{} using 1:2:3:4 with xerrorbars pointtype {} pointsize 0.75 linewidth 1.4 linecolor rgb '{}' "
        "title {}",
        g ? ", " : "", g, kMarkers[g % kMarkers.size()], series_colour(g), gnuplot_quoted(groups[g]));
  }
  draw(stem, formats, canvas, data, body + "plot " + plot + "\n");
}

}  // namespace tide::analysis
