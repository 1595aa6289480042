#pragma once
// Still figures: heatmaps, line charts, ranges and frontiers as PNG and SVG (PDF on request), drawn by
// gnuplot as a child process. Colours are safe for colour-blind readers: viridis or cividis for values, a
// fixed sequence of distinguishable hues, each with a marker of its own, for series.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tide::analysis {

/// Which files a figure is written to: `stem.png`, `stem.svg`, `stem.pdf`.
struct FigureFormats {
  bool png = true;
  bool svg = true;
  bool pdf = false;
};

enum class Palette { viridis, cividis };

/// A cell, a whole row or a whole column with an outline, e.g. a selection layer.
struct HeatmapMark {
  enum class Kind { cell, row, column };
  Kind kind = Kind::cell;
  std::int64_t row = 0;     ///< index from 0; ignored for a column
  std::int64_t column = 0;  ///< index from 0; ignored for a row
};

/// A matrix as coloured cells.
struct Heatmap {
  std::string title;
  std::string subtitle;  ///< second line: k, samples, steps; may be empty
  std::string x_label;   ///< with its unit, e.g. "position (tokens)"
  std::string y_label;
  std::string value_label;  ///< beside the colour bar, e.g. "overlap (share of k = 64)"
  std::int64_t n_rows = 0;
  std::int64_t n_columns = 0;
  std::vector<float> value;                ///< [n_rows, n_columns], row-major; NaN = blank
  std::vector<std::string> row_labels;     ///< [n_rows]; empty: numbers from first_row
  std::vector<std::string> column_labels;  ///< [n_columns]; empty: numbers from first_column
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  std::int64_t column_step = 1;  ///< what a column's number grows by, e.g. positions a column stands for
  bool first_row_on_top = true;
  bool log_scale = false;     ///< logarithmic colours; values <= 0 are drawn as the lowest colour
  std::optional<double> low;  ///< colour range; absent: from the values
  std::optional<double> high;
  bool show_values = false;  ///< writes each value into its cell (at most 12 x 20 cells)
  Palette palette = Palette::viridis;
  std::vector<HeatmapMark> marks;
  std::string marks_label;  ///< what the marks are, shown below the map, e.g. "selection layers"
};

/// A column of an attention map that is always high and hides the rest: the sinks (first positions).
/// Blanks `[0, sinks)` of every row of a map whose columns are positions.
void hide_sinks(Heatmap& map, std::int64_t sinks = 4);

/// One line of a chart.
struct LineSeries {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;      ///< NaN: a gap
  std::vector<double> low;    ///< empty, or the lower end of y's interval, same length
  std::vector<double> high;   ///< empty, or the upper end
  bool dashed = false;        ///< e.g. same head beside mapped
  std::optional<int> colour;  ///< index of the colour sequence; absent: the series' own place
  bool bound = false;         ///< not one of those compared but what they lie between: grey, takes no colour
};

/// A dotted line at one value, e.g. full attention.
struct ReferenceLine {
  double value = 0;
  std::string label;
};

/// Lines with points.
struct LineChart {
  enum class Intervals { band, bars };
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::string y_label;
  std::vector<LineSeries> series;
  Intervals intervals = Intervals::band;
  bool log_x = false;  ///< base 2 ticks when every x is a power of two, decades otherwise
  bool log_y = false;
  std::optional<double> y_low;
  std::optional<double> y_high;
  std::vector<ReferenceLine> horizontal;
  std::vector<ReferenceLine> vertical;
};

/// A value with its range under a name, e.g. a median time with the fastest and the slowest round.
struct NamedRange {
  std::string name;
  double value = 0;
  double low = 0, high = 0;
  std::string group;  ///< colour and marker, e.g. the program; all the same: no legend
};

/// Named values below each other, the first on top, each with its range; a linear axis begins at 0.
struct RangeChart {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::vector<NamedRange> rows;
  bool log_x = false;
};

/// One configuration on a cost/quality plane.
struct FrontierPoint {
  std::string label;  ///< shown beside points of the front, e.g. "2+14"
  double x = 0;       ///< cost
  double y = 0;       ///< quality
  std::optional<double> y_low, y_high;
  std::optional<double> x_low, x_high;
  std::string group;       ///< colour, e.g. "budget 64"
  std::string marker;      ///< point shape, e.g. "mapped heads" or "same head"
  bool reference = false;  ///< full attention: a star of its own, with dotted lines; not on the front
};

/// Cost (smaller is better) against quality (larger is better), with the Pareto front drawn.
struct ScatterFrontier {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::string y_label;
  std::vector<FrontierPoint> points;
  bool log_x = false;
  std::optional<double> y_low;
  std::optional<double> y_high;
};

/// Indices of the points that no other point beats (x at most, y at least, one of them strictly), by
/// rising x; of points equal in both the first. Reference points and NaN are left out.
std::vector<std::size_t> pareto_front(const std::vector<FrontierPoint>& points);

/// Draw into `stem` + extension; each file appears complete or not at all. Throw InputError when sizes
/// disagree or there is nothing to draw, WorkError when gnuplot is missing (TIDEGAUGE_GNUPLOT names
/// another program) or fails, with its message.
void write_heatmap(const std::filesystem::path& stem, const Heatmap& figure, FigureFormats formats = {});
void write_line_chart(const std::filesystem::path& stem, const LineChart& figure, FigureFormats formats = {});
void write_range_chart(const std::filesystem::path& stem, const RangeChart& figure,
                       FigureFormats formats = {});
void write_frontier(const std::filesystem::path& stem, const ScatterFrontier& figure,
                    FigureFormats formats = {});

}  // namespace tide::analysis
