// Cost against quality: colour by group, marker by kind, the Pareto front as steps, its points named.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/figures.h"
#include "analysis/figures_axis.h"
#include "analysis/figures_gnuplot.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr std::array<int, 6> kMarkers = {7, 8, 5, 12, 9, 4};  // filled and open by turns
constexpr double kPlotWidth = 460, kPlotHeight = 330;
constexpr std::size_t kMostIntervals =
    24;  // more points: intervals at the front alone, or they hide everything

/// Different values of a text field, in order of first appearance.
std::vector<std::string> kinds(const std::vector<FrontierPoint>& points, std::string FrontierPoint::*field) {
  std::vector<std::string> out;
  for (const FrontierPoint& point : points) {
    if (point.reference || (point.*field).empty()) continue;
    if (std::find(out.begin(), out.end(), point.*field) == out.end()) out.push_back(point.*field);
  }
  return out;
}

std::size_t place_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin()) %
         std::max<std::size_t>(names.size(), 1);
}

struct Box {
  double left, top, right, bottom;
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

/// Names beside points, at the first of eight places that covers neither a point nor another name.
class NamePlacer {
 public:
  NamePlacer(const Canvas& canvas, const Axis& x, const Axis& y) : canvas_(canvas), x_(x), y_(y) {}

  std::pair<double, double> pixel(double x, double y) const {
    return {canvas_.left + x_.share(x) * canvas_.plot_width(),
            canvas_.bottom - y_.share(y) * canvas_.plot_height()};
  }
  void keep_free(const FrontierPoint& point) {
    const auto [x, y] = pixel(point.x, point.y);
    taken_.push_back({x - 4, y - 4, x + 4, y + 4});
  }
  std::string label(const FrontierPoint& point, const std::string& colour) {
    const auto [x, y] = pixel(point.x, point.y);
    const double width = text_width(point.label, kSmallPoints);
    // right above, left above, right below, left below, above, below, right, left, then farther out
    for (const double far : {1.0, 2.0, 3.2}) {
      const double dx = 7 * far, dy = 9 * far;
      const std::array<std::array<double, 2>, 8> middles = {{{x + dx + width / 2, y - dy},
                                                             {x - dx - width / 2, y - dy},
                                                             {x + dx + width / 2, y + dy},
                                                             {x - dx - width / 2, y + dy},
                                                             {x, y - dy - 3},
                                                             {x, y + dy + 3},
                                                             {x + dx + 2 + width / 2, y},
                                                             {x - dx - 2 - width / 2, y}}};
      for (const auto& [middle_x, middle_y] : middles) {
        const Box box{middle_x - width / 2, middle_y - 6, middle_x + width / 2, middle_y + 6};
        const bool inside = box.left >= canvas_.left + 2 && box.right <= canvas_.right + 10 &&
                            box.top >= canvas_.top - 4 && box.bottom <= canvas_.bottom - 2;
        const auto hit = [&box](const Box& other) { return box.overlaps(other); };
        if (!inside || std::any_of(taken_.begin(), taken_.end(), hit)) continue;
        taken_.push_back(box);
        return pixel_label(canvas_, middle_x, middle_y, point.label, kSmallPoints, colour, "center");
      }
    }
    return {};  // no room: the table has the name
  }

 private:
  const Canvas& canvas_;
  const Axis &x_, &y_;
  std::vector<Box> taken_;
};

void check(const ScatterFrontier& figure) {
  const auto drawn = [](const FrontierPoint& point) {
    return std::isfinite(point.x) && std::isfinite(point.y);
  };
  if (std::none_of(figure.points.begin(), figure.points.end(), drawn)) {
    fail_input("draw frontier {}: no points", figure.title);
  }
}

Axis axis_of(const ScatterFrontier& figure, bool vertical) {
  AxisRange range(!vertical && figure.log_x);
  for (const FrontierPoint& point : figure.points) {
    range.add(vertical ? point.y : point.x);
    for (const auto& end :
         vertical ? std::array{point.y_low, point.y_high} : std::array{point.x_low, point.x_high}) {
      if (end) range.add(*end);
    }
  }
  return vertical ? range.axis(figure.y_low, figure.y_high, 6, 0.05) : range.axis({}, {}, 8, 0.06);
}

/// One block a combination of group and marker; the front; the references.
struct Plot {
  std::string data, commands;
  std::size_t n_legend = 0;
};

bool is_crowded(const ScatterFrontier& figure) { return figure.points.size() > kMostIntervals; }

std::string point_row(const FrontierPoint& point, const Axis& y_axis, bool interval) {
  const auto end = [interval](const std::optional<double>& value, double middle) {
    return interval ? value.value_or(middle) : middle;
  };
  return fmt::format("{:.9g} {:.9g} {:.9g} {:.9g} {:.9g} {:.9g}\n", point.x, point.y,
                     end(point.x_low, point.x), end(point.x_high, point.x),
                     std::max(end(point.y_low, point.y), y_axis.low),
                     std::min(end(point.y_high, point.y), y_axis.high));
}

void add_points(const ScatterFrontier& figure, const std::vector<std::string>& groups,
                const std::vector<std::string>& markers, const std::vector<std::size_t>& front,
                const Axis& y_axis, Plot& plot) {
  const bool crowded = is_crowded(figure);
  for (std::size_t group = 0; group < std::max<std::size_t>(groups.size(), 1); ++group) {
    for (std::size_t marker = 0; marker < std::max<std::size_t>(markers.size(), 1); ++marker) {
      std::string rows;
      for (std::size_t i = 0; i < figure.points.size(); ++i) {
        const FrontierPoint& point = figure.points[i];
        if (point.reference || !std::isfinite(point.x) || !std::isfinite(point.y)) continue;
        if (place_of(groups, point.group) != group || place_of(markers, point.marker) != marker) continue;
        rows += point_row(point, y_axis, !crowded || std::find(front.begin(), front.end(), i) != front.end());
      }
      if (rows.empty()) continue;
      const std::string block = fmt::format("$p{}_{}", group, marker);
      plot.data += fmt::format("{} << END\n{}END\n", block, rows);
      const std::string& colour = series_colour(group);
      plot.commands += fmt::format(
          "{0} using 1:2:3:4:5:6 with xyerrorbars pointtype -1 linewidth 0.8 linecolor rgb '#66{1}' notitle, "
          "{0} using "
          "1:2 with points pointtype {2} pointsize 0.85 linewidth 1.4 linecolor rgb '{3}' notitle, ",
          block, colour.substr(1), kMarkers[marker % kMarkers.size()], colour);
    }
  }
}

void add_legend(const std::vector<std::string>& groups, const std::vector<std::string>& markers, Plot& plot) {
  for (std::size_t i = 0; i < groups.size(); ++i, ++plot.n_legend) {
    plot.commands += fmt::format("NaN with points pointtype 5 pointsize 1 linecolor rgb '{}' title {}, ",
                                 series_colour(i), gnuplot_quoted(groups[i]));
  }
  for (std::size_t i = 0; i < markers.size(); ++i, ++plot.n_legend) {
    plot.commands +=
        fmt::format("NaN with points pointtype {} pointsize 0.9 linewidth 1.4 linecolor rgb '{}' title {}, ",
                    kMarkers[i % kMarkers.size()], kGrey, gnuplot_quoted(markers[i]));
  }
}

/// A step from each point of the front to the next: what that cost buys at best.
void add_front(const ScatterFrontier& figure, const std::vector<std::size_t>& front, Plot& plot) {
  if (front.size() < 2) return;
  plot.data += "$front << END\n";
  for (const std::size_t i : front)
    plot.data += fmt::format("{:.9g} {:.9g}\n", figure.points[i].x, figure.points[i].y);
  plot.data += "END\n";
  plot.commands += fmt::format(
      "$front using 1:2 with steps linewidth 1.3 linecolor rgb '{}' title 'best for its cost', ", kGrey);
  ++plot.n_legend;
}

std::string add_references(const ScatterFrontier& figure, Plot& plot) {
  std::string commands;
  bool first = true;
  for (std::size_t i = 0; i < figure.points.size(); ++i) {
    const FrontierPoint& point = figure.points[i];
    if (!point.reference || !std::isfinite(point.x) || !std::isfinite(point.y)) continue;
    plot.data += fmt::format("$r{} << END\n{:.9g} {:.9g}\nEND\n", i, point.x, point.y);
    plot.commands += fmt::format(
        "$r{} using 1:2 with points pointtype 3 pointsize 1.1 linewidth 2 linecolor rgb '{}' {}, ", i, kInk,
        first ? "title " + gnuplot_quoted(point.label) : "notitle");
    commands += fmt::format(
        "set arrow from graph 0,first {0:.9g} to graph 1,first {0:.9g} nohead back dashtype 3 linewidth 1.2 "
        "linecolor "
        "rgb '{1}'\n",
        point.y, kInk);
    plot.n_legend += first ? 1 : 0;
    first = false;
  }
  return commands;
}

}  // namespace

std::vector<std::size_t> pareto_front(const std::vector<FrontierPoint>& points) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].reference && std::isfinite(points[i].x) && std::isfinite(points[i].y)) order.push_back(i);
  }
  // equal but for the rounding of a mean counts as equal
  const auto cost = [&](std::size_t i) { return static_cast<float>(points[i].x); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return cost(a) != cost(b) ? cost(a) < cost(b) : points[a].y > points[b].y;
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() || points[i].y > points[front.back()].y) front.push_back(i);
  }
  return front;
}

void write_frontier(const std::filesystem::path& stem, const ScatterFrontier& figure, FigureFormats formats) {
  check(figure);
  const auto groups = kinds(figure.points, &FrontierPoint::group);
  const auto markers = kinds(figure.points, &FrontierPoint::marker);
  const auto front = pareto_front(figure.points);
  const Axis x = axis_of(figure, false), y = axis_of(figure, true);

  Plot plot;
  const std::string references = add_references(figure, plot);
  add_front(figure, front, plot);
  add_points(figure, groups, markers, front, y, plot);
  add_legend(groups, markers, plot);

  double legend = text_width("best for its cost", kSmallPoints);
  for (const auto* names : {&groups, &markers}) {
    for (const std::string& name : *names) legend = std::max(legend, text_width(name, kSmallPoints));
  }
  for (const FrontierPoint& point : figure.points) {
    if (point.reference) legend = std::max(legend, text_width(point.label, kSmallPoints));
  }
  const std::string subtitle = figure.subtitle + (is_crowded(figure) ? " (drawn for the front)" : "");
  Canvas canvas;
  canvas.title = figure.title;
  canvas.left = 68;
  canvas.top = figure.subtitle.empty() ? 40 : 56;
  canvas.right = canvas.left + kPlotWidth;
  canvas.bottom = canvas.top + kPlotHeight;
  canvas.width = std::max({canvas.right + legend + 62, 28 + text_width(figure.title, kTitlePoints * 1.08),
                           28 + text_width(subtitle, kSmallPoints)});
  canvas.height = canvas.bottom + 54;

  NamePlacer names(canvas, x, y);
  for (const FrontierPoint& point : figure.points) {
    if (std::isfinite(point.x) && std::isfinite(point.y)) names.keep_free(point);
  }
  std::string body = frame_commands(canvas, subtitle, figure.x_label, figure.y_label);
  body += x.commands("x") + y.commands("y") + grid_commands() + references;
  body += legend_commands(canvas, canvas.right + 10, canvas.top - 4, plot.n_legend);
  for (const std::size_t i : front) body += names.label(figure.points[i], kInk);
  plot.commands.resize(plot.commands.size() - 2);  // the last ", "
  draw(stem, formats, canvas, plot.data, body + "plot " + plot.commands + "\n");
}

}  // namespace tide::analysis
