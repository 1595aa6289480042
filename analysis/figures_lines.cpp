// Line charts: a colour and a marker each series, intervals as bands or bars, legend beside the plot.

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/figures.h"
#include "analysis/figures_axis.h"
#include "analysis/figures_gnuplot.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

/// Gnuplot's markers: a colour's first series, then its second one, whose line is broken too; then bounds.
constexpr std::array<int, 8> kMarkers = {7, 5, 9, 13, 11, 6, 4, 8};
constexpr std::array<int, 8> kSecondMarkers = {12, 10, 6, 4, 8, 9, 7, 5};
constexpr std::array<int, 3> kBoundMarkers = {2, 1, 3};
constexpr double kPlotWidth = 430, kPlotHeight = 300;
constexpr double kWidestLegend = 260;  // wider: below the plot

/// What tells a series from the others.
struct Style {
  std::string colour;
  int marker;
  const char* dashes;
};

/// Sixteen series look different before the first one's look comes again.
std::vector<Style> styles_of(const LineChart& chart) {
  std::vector<Style> styles;
  std::size_t compared = 0, bounds = 0;
  for (const LineSeries& series : chart.series) {
    if (series.bound) {
      styles.push_back({kGrey, kBoundMarkers[bounds++ % kBoundMarkers.size()], "'- '"});
      continue;
    }
    const std::size_t place = series.colour ? static_cast<std::size_t>(*series.colour) : compared;
    ++compared;
    const bool second = place / kMarkers.size() % 2 == 1;
    styles.push_back({series_colour(place), (second ? kSecondMarkers : kMarkers)[place % kMarkers.size()],
                      series.dashed ? "'- '"
                      : second      ? "'_. '"
                                    : "1"});
  }
  return styles;
}

void check(const LineChart& chart) {
  if (chart.series.empty()) fail_input("draw line chart {}: no series", chart.title);
  for (const LineSeries& series : chart.series) {
    const std::size_t n = series.x.size();
    if (n == 0) fail_input("draw line chart {}: series {} is empty", chart.title, series.name);
    const auto fits = [n](const std::vector<double>& values) { return values.empty() || values.size() == n; };
    if (series.y.size() != n || !fits(series.low) || !fits(series.high) ||
        series.low.empty() != series.high.empty()) {
      fail_input("draw line chart {}: series {} has {} x, {} y, {} low and {} high values", chart.title,
                 series.name, n, series.y.size(), series.low.size(), series.high.size());
    }
  }
}

/// Bars of several series at one x stand side by side.
double side_step(const LineChart& chart, std::size_t series) {
  if (chart.intervals != LineChart::Intervals::bars || chart.log_x) return 0;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const LineSeries& one : chart.series) {
    for (const double x : one.x) least = std::min(least, x), most = std::max(most, x);
  }
  const double middle = static_cast<double>(chart.series.size() - 1) / 2;
  return (static_cast<double>(series) - middle) * 0.006 * (most - least);
}

std::string data_blocks(const LineChart& chart) {
  std::string data;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const LineSeries& series = chart.series[i];
    const double aside = side_step(chart, i);
    data += fmt::format("$s{} << END\n", i);
    for (std::size_t at = 0; at < series.x.size(); ++at) {
      if (std::isnan(series.y[at])) {
        data += '\n';  // an empty line breaks the line
        continue;
      }
      const double low = series.low.empty() ? series.y[at] : series.low[at];
      const double high = series.high.empty() ? series.y[at] : series.high[at];
      data += fmt::format("{:.9g} {:.9g} {:.9g} {:.9g}\n", series.x[at] + aside, series.y[at], low, high);
    }
    data += "END\n";
  }
  return data;
}

Axis x_axis(const LineChart& chart) {
  AxisRange range(chart.log_x);
  for (const LineSeries& series : chart.series) {
    for (const double x : series.x) range.add(x);
  }
  for (const ReferenceLine& line : chart.vertical) range.add(line.value);
  return range.axis(std::nullopt, std::nullopt, 8, 0.03);
}

Axis y_axis(const LineChart& chart) {
  AxisRange range(chart.log_y);
  for (const LineSeries& series : chart.series) {
    for (const auto* values : {&series.y, &series.low, &series.high}) {
      for (const double y : *values) range.add(y);
    }
  }
  for (const ReferenceLine& line : chart.horizontal) range.add(line.value);
  return range.axis(chart.y_low, chart.y_high, 6, 0.06);
}

/// How many points of the series' lines, taken densely, lie inside a box of pixels.
int points_inside(const LineChart& chart, const Canvas& canvas, const Axis& x, const Axis& y, double left,
                  double top, double right, double bottom) {
  constexpr int kPieces = 16;
  int inside = 0;
  for (const LineSeries& series : chart.series) {
    for (std::size_t i = 0; i + 1 < series.x.size(); ++i) {
      for (int piece = 0; piece <= kPieces; ++piece) {
        const double t = static_cast<double>(piece) / kPieces;
        const auto between = [t](double a, double b) { return a + t * (b - a); };
        const double px =
            canvas.left + between(x.share(series.x[i]), x.share(series.x[i + 1])) * canvas.plot_width();
        const double py =
            canvas.bottom - between(y.share(series.y[i]), y.share(series.y[i + 1])) * canvas.plot_height();
        inside += px > left && px < right && py > top && py < bottom ? 1 : 0;  // false for NaN
      }
    }
  }
  return inside;
}

/// The name of a horizontal line, at the end and side of it where fewest lines pass.
std::string reference_name(const LineChart& chart, const Canvas& canvas, const Axis& x, const Axis& y,
                           const ReferenceLine& line) {
  const double at = canvas.bottom - y.share(line.value) * canvas.plot_height();
  const double width = text_width(line.label, kSmallPoints);
  int fewest = -1;
  double best_x = 0, best_y = 0;
  for (const double middle_x :
       {canvas.right - 4 - width / 2, canvas.left + 6 + width / 2, (canvas.left + canvas.right) / 2}) {
    for (const double middle_y : {at - 9, at + 9}) {
      if (middle_y < canvas.top + 6 || middle_y > canvas.bottom - 6) continue;
      const int inside = points_inside(chart, canvas, x, y, middle_x - width / 2, middle_y - 7,
                                       middle_x + width / 2, middle_y + 7);
      if (fewest >= 0 && inside >= fewest) continue;
      fewest = inside;
      best_x = middle_x;
      best_y = middle_y;
    }
  }
  if (fewest < 0) return {};
  return pixel_label(canvas, best_x, best_y, line.label, kSmallPoints, kInk, "center");
}

/// Dotted lines across the plot with their names.
std::string reference_commands(const LineChart& chart, const Canvas& canvas, const Axis& x, const Axis& y) {
  std::string out;
  for (const ReferenceLine& line : chart.horizontal) {
    out += fmt::format(
        "set arrow from graph 0,first {0:.9g} to graph 1,first {0:.9g} nohead dashtype 3 linewidth 1.2 "
        "linecolor "
        "rgb '{1}'\n",
        line.value, kInk);
    out += reference_name(chart, canvas, x, y, line);
  }
  for (const ReferenceLine& line : chart.vertical) {
    const double at = canvas.left + x.share(line.value) * canvas.plot_width();
    out += fmt::format(
        "set arrow from {0:.9g},graph 0 to {0:.9g},graph 1 nohead dashtype 3 linewidth 1 linecolor rgb "
        "'{1}'\n",
        line.value, kGrey);
    out += pixel_label(canvas, at, canvas.top - 8, line.label, kSmallPoints, kGrey, "center");
  }
  return out;
}

std::string interval_plot(const LineChart& chart, std::size_t i, const std::string& colour) {
  if (chart.intervals == LineChart::Intervals::band) {
    return fmt::format(
        "$s{} using 1:3:4 with filledcurves fillcolor rgb '{}' fillstyle transparent solid 0.16 noborder "
        "notitle, ",
        i, colour);
  }
  return fmt::format(
      "$s{} using 1:2:3:4 with yerrorbars pointtype -1 linewidth 1 linecolor rgb '{}' notitle, ", i, colour);
}

}  // namespace

void write_line_chart(const std::filesystem::path& stem, const LineChart& chart, FigureFormats formats) {
  check(chart);
  double legend = 0;
  for (const LineSeries& series : chart.series)
    legend = std::max(legend, text_width(series.name, kSmallPoints) + 54);
  const bool with_legend = chart.series.size() > 1, below = legend > kWidestLegend;
  const double legend_height = 17.0 * static_cast<double>(chart.series.size());
  Canvas canvas;
  canvas.title = chart.title;
  canvas.left = 68;
  canvas.top = (chart.subtitle.empty() ? 40 : 56) + (chart.vertical.empty() ? 0 : 12);
  canvas.right = canvas.left + kPlotWidth;
  canvas.bottom = canvas.top + std::max(kPlotHeight, with_legend && !below ? legend_height : 0);
  canvas.width = std::max({canvas.right + (with_legend && !below ? legend + 24 : 24), below ? legend + 40 : 0,
                           28 + text_width(chart.title, kTitlePoints * 1.08),
                           28 + text_width(chart.subtitle, kSmallPoints)});
  canvas.height = canvas.bottom + 54 + (with_legend && below ? legend_height + 6 : 0);

  const Axis x = x_axis(chart), y = y_axis(chart);
  std::string body = frame_commands(canvas, chart.subtitle, chart.x_label, chart.y_label);
  body += x.commands("x") + y.commands("y") + grid_commands();
  body += reference_commands(chart, canvas, x, y);
  if (with_legend) {
    const double left = below ? 20 : canvas.right + 10, top = below ? canvas.bottom + 50 : canvas.top - 4;
    body += legend_commands(canvas, left, top, chart.series.size());
  }
  const std::vector<Style> styles = styles_of(chart);
  std::string plot;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    if (!chart.series[i].low.empty()) plot += interval_plot(chart, i, styles[i].colour);
  }
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const bool crowded = chart.series[i].x.size() > 60;
    plot += fmt::format("$s{} using 1:2 with {} dashtype {} linewidth 1.8 {} linecolor rgb '{}' title {}{}",
                        i, crowded ? "lines" : "linespoints", styles[i].dashes,
                        crowded ? "" : fmt::format("pointtype {} pointsize 0.65", styles[i].marker),
                        styles[i].colour, gnuplot_quoted(chart.series[i].name),
                        i + 1 < chart.series.size() ? ", " : "");
  }
  draw(stem, formats, canvas, data_blocks(chart), body + "plot " + plot + "\n");
}

}  // namespace tide::analysis
