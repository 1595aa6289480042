// Heatmaps. Blank cells stay light grey; rows and columns to mark get a triangle outside the map, so
// that no value is hidden; values are mapped to colours here, so that log scales and ranges are ours.

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/figures.h"
#include "analysis/figures_gnuplot.h"
#include "analysis/figures_scale.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kMarkColour = "#d55e00";
constexpr const char* kBlankColour = "#f1f1f1";
constexpr std::int64_t kMaxDrawnColumns = 1200, kMaxDrawnRows = 800;
constexpr std::int64_t kMaxPolygonCells = 6000;  // above: one raster image inside the SVG

/// What is drawn: maxima of neighbouring cells when the map has more cells than the figure has pixels.
struct DrawnCells {
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_bin = 1, column_bin = 1;
  std::vector<float> value;  // [rows, columns]
};

DrawnCells drawn_cells(const Heatmap& map) {
  DrawnCells cells;
  cells.row_bin = (map.n_rows + kMaxDrawnRows - 1) / kMaxDrawnRows;
  cells.column_bin = (map.n_columns + kMaxDrawnColumns - 1) / kMaxDrawnColumns;
  cells.rows = (map.n_rows + cells.row_bin - 1) / cells.row_bin;
  cells.columns = (map.n_columns + cells.column_bin - 1) / cells.column_bin;
  cells.value.assign(static_cast<std::size_t>(cells.rows * cells.columns), static_cast<float>(kNaN));
  for (std::int64_t row = 0; row < map.n_rows; ++row) {
    for (std::int64_t column = 0; column < map.n_columns; ++column) {
      const float value = map.value[static_cast<std::size_t>(row * map.n_columns + column)];
      float& cell = cells.value[static_cast<std::size_t>(row / cells.row_bin * cells.columns +
                                                         column / cells.column_bin)];
      if (!std::isnan(value) && !(cell >= value)) cell = value;
    }
  }
  return cells;
}

/// Height of a row with its name, and how many rows all have theirs.
constexpr double kNamePixels = 12;
constexpr std::int64_t kMostNamedRows = 150;
bool all_named(const Heatmap& map) { return !map.row_labels.empty() && map.n_rows <= kMostNamedRows; }

double widest(const std::vector<std::string>& labels) {
  double width = 0;
  for (const auto& label : labels) width = std::max(width, text_width(label, kSmallPoints));
  return width;
}

Canvas canvas_of(const Heatmap& map, bool slanted) {
  Canvas canvas;
  canvas.title = map.title;
  const double rows = static_cast<double>(map.n_rows), columns = static_cast<double>(map.n_columns);
  const double aspect = columns / rows;
  double width, height;
  if (map.show_values) {
    width = columns * 44, height = rows * 28;
  } else if (aspect > 0.5 && aspect < 2 && map.n_rows <= 200) {  // layer x layer: square cells
    const double cell = 400 / std::max(rows, columns);
    width = cell * columns, height = cell * rows;
  } else {
    width = aspect >= 1 ? 600 : 360;
    height = aspect >= 1 ? std::clamp(rows * 9, 150.0, 380.0) : 460;
    // Every named row has its name.
    if (all_named(map)) height = std::max(height, rows * kNamePixels);
  }
  canvas.left = 38 + std::max(24.0, widest(map.row_labels) + 8);
  canvas.top = (map.subtitle.empty() ? 38 : 54) + (map.marks.empty() ? 0 : 10);
  canvas.right = canvas.left + std::max(width, 140.0);
  canvas.bottom = canvas.top + std::max(height, 100.0);
  canvas.width = canvas.right + 104;
  canvas.width = std::max(canvas.width, 28 + std::max(text_width(map.title, kTitlePoints * 1.08),
                                                      text_width(map.subtitle, kSmallPoints)));
  canvas.height =
      canvas.bottom + 50 + (map.marks.empty() ? 0 : 14) + (slanted ? widest(map.column_labels) * 0.6 : 0);
  return canvas;
}

/// One axis' cells: how many, how they are numbered, and how many are drawn as one.
struct CellAxis {
  std::int64_t n, bin, first, step;
  const std::vector<std::string>& labels;

  /// Where the middle of cell `i`, whole or not, lies among the drawn cells.
  double place(double i) const { return (i + 0.5) / static_cast<double>(bin) - 0.5; }
};

/// Ticks of one axis: as many labels as fit, at cell centres; numbers at multiples of a round one.
std::string cell_ticks(const char* axis, const CellAxis& cells, double pixels, double label_pixels) {
  const int most = std::max(1, static_cast<int>(pixels / label_pixels));
  std::vector<double> places;
  std::vector<std::string> texts;
  if (!cells.labels.empty()) {
    const std::int64_t stride = std::max<std::int64_t>(1, (cells.n + most - 1) / most);
    for (std::int64_t i = 0; i < cells.n; i += stride) {
      places.push_back(cells.place(static_cast<double>(i)));
      texts.push_back(cells.labels[static_cast<std::size_t>(i)]);
    }
    return tick_command(axis, places, texts);
  }
  const std::int64_t span = cells.n * cells.step;
  const auto stride = std::max<std::int64_t>(cells.step == 1 ? 1 : cells.step,
                                             std::llround(nice_step(static_cast<double>(span), most)));
  for (std::int64_t number = (cells.first + stride - 1) / stride * stride; number < cells.first + span;
       number += stride) {
    places.push_back(
        cells.place(static_cast<double>(number - cells.first) / static_cast<double>(cells.step)));
    texts.push_back(std::to_string(number));
  }
  return tick_command(axis, places, texts);
}

/// Triangles beside marked rows and above marked columns; outlines of marked cells.
std::string mark_commands(const Heatmap& map, const Canvas& canvas) {
  std::string out;
  const double cell_width = canvas.plot_width() / static_cast<double>(map.n_columns);
  const double cell_height = canvas.plot_height() / static_cast<double>(map.n_rows);
  for (const HeatmapMark& mark : map.marks) {
    const double from_top = static_cast<double>(map.first_row_on_top ? mark.row : map.n_rows - 1 - mark.row);
    const double x = canvas.left + (static_cast<double>(mark.column) + 0.5) * cell_width;
    const double y = canvas.top + (from_top + 0.5) * cell_height;
    if (mark.kind == HeatmapMark::Kind::row) {
      out += pixel_label(canvas, canvas.right + 2, y, "◀", 7, kMarkColour, "left");
    } else if (mark.kind == HeatmapMark::Kind::column) {
      out += pixel_label(canvas, x, canvas.top - 6, "▼", 7, kMarkColour, "center");
    } else {
      for (const auto& [colour, thickness] : {std::pair{"white", 2.4}, std::pair{"black", 1.0}}) {
        out += fmt::format(
            "set object rectangle from screen {:.6f},{:.6f} to screen {:.6f},{:.6f} front fillstyle empty "
            "border linecolor rgb '{}' linewidth {}\n",
            (x - cell_width / 2) / canvas.width, 1 - (y - cell_height / 2) / canvas.height,
            (x + cell_width / 2) / canvas.width, 1 - (y + cell_height / 2) / canvas.height, colour,
            thickness);
      }
    }
  }
  if (!map.marks.empty() && !map.marks_label.empty()) {
    const bool cells = map.marks.front().kind == HeatmapMark::Kind::cell;
    out += pixel_label(canvas, canvas.right, canvas.bottom + 56, (cells ? "□ " : "▼ ◀ ") + map.marks_label,
                       kSmallPoints, kMarkColour, "right");
  }
  return out;
}

std::string value_labels(const Heatmap& map, const Canvas& canvas, const Scale& scale) {
  if (!map.show_values) return {};
  std::string out;
  const double cell_width = canvas.plot_width() / static_cast<double>(map.n_columns);
  const double cell_height = canvas.plot_height() / static_cast<double>(map.n_rows);
  const double span = scale.high_place() - scale.low_place();
  for (std::int64_t row = 0; row < map.n_rows; ++row) {
    for (std::int64_t column = 0; column < map.n_columns; ++column) {
      const double value = map.value[static_cast<std::size_t>(row * map.n_columns + column)];
      if (std::isnan(value)) continue;
      const double share = (scale.place(value) - scale.low_place()) / span;
      const double from_top = static_cast<double>(map.first_row_on_top ? row : map.n_rows - 1 - row);
      out +=
          pixel_label(canvas, canvas.left + (static_cast<double>(column) + 0.5) * cell_width,
                      canvas.top + (from_top + 0.5) * cell_height, fmt::format("{:.3g}", value), kSmallPoints,
                      palette_luminance(map.palette, share) > 0.3 ? "#111111" : "#ffffff", "center");
    }
  }
  return out;
}

void check(const Heatmap& map) {
  const auto count = [](const std::vector<std::string>& labels) {
    return static_cast<std::int64_t>(labels.size());
  };
  if (map.n_rows < 1 || map.n_columns < 1) fail_input("draw heatmap {}: no cells", map.title);
  if (static_cast<std::int64_t>(map.value.size()) != map.n_rows * map.n_columns) {
    fail_input("draw heatmap {}: {} values, expected {} x {}", map.title, map.value.size(), map.n_rows,
               map.n_columns);
  }
  if (!map.row_labels.empty() && count(map.row_labels) != map.n_rows) {
    fail_input("draw heatmap {}: {} row labels, expected {}", map.title, map.row_labels.size(), map.n_rows);
  }
  if (!map.column_labels.empty() && count(map.column_labels) != map.n_columns) {
    fail_input("draw heatmap {}: {} column labels, expected {}", map.title, map.column_labels.size(),
               map.n_columns);
  }
  for (const HeatmapMark& mark : map.marks) {
    const bool row_used = mark.kind != HeatmapMark::Kind::column,
               column_used = mark.kind != HeatmapMark::Kind::row;
    if ((row_used && (mark.row < 0 || mark.row >= map.n_rows)) ||
        (column_used && (mark.column < 0 || mark.column >= map.n_columns))) {
      fail_input("draw heatmap {}: mark at row {}, column {} of {} x {}", map.title, mark.row, mark.column,
                 map.n_rows, map.n_columns);
    }
  }
  if (map.column_step < 1) fail_input("draw heatmap {}: columns grow by {}", map.title, map.column_step);
  if (map.show_values && (map.n_rows > 20 || map.n_columns > 12)) {
    fail_input("draw heatmap {}: values written into {} x {} cells, expected at most 20 x 12", map.title,
               map.n_rows, map.n_columns);
  }
}

}  // namespace

void hide_sinks(Heatmap& map, std::int64_t sinks) {
  for (std::int64_t row = 0; row < map.n_rows; ++row) {
    for (std::int64_t column = 0; column < std::min(sinks, map.n_columns); ++column) {
      map.value[static_cast<std::size_t>(row * map.n_columns + column)] = static_cast<float>(kNaN);
    }
  }
}

void write_heatmap(const std::filesystem::path& stem, const Heatmap& map, FigureFormats formats) {
  check(map);
  const DrawnCells cells = drawn_cells(map);
  const Scale scale = colour_scale(map);
  const double digits =
      text_width(std::to_string(map.first_column + map.n_columns * map.column_step), kSmallPoints);
  const double column_pixels_needed = std::max(digits, widest(map.column_labels)) + 10;
  const bool slanted = !map.column_labels.empty() && widest(map.column_labels) > 40;
  const Canvas canvas = canvas_of(map, slanted);

  // gnuplot draws no image of a single row or column: it is given twice, each at half its size
  const std::int64_t row_times = cells.rows == 1 ? 2 : 1, column_times = cells.columns == 1 ? 2 : 1;
  std::string data = "$map << END\n";
  for (std::int64_t row = 0; row < cells.rows * row_times; ++row) {
    for (std::int64_t column = 0; column < cells.columns * column_times; ++column) {
      const auto cell = row / row_times * cells.columns + column / column_times;
      const double place = scale.place(cells.value[static_cast<std::size_t>(cell)]);
      data += std::isnan(place) ? std::string("NaN ") : fmt::format("{:.6g} ", place);
    }
    data += '\n';
  }
  data += "END\n";

  std::string body = frame_commands(canvas, map.subtitle, slanted ? "" : map.x_label, map.y_label);
  if (slanted) {
    body += pixel_label(canvas, (canvas.left + canvas.right) / 2, canvas.height - 16, map.x_label,
                        kTextPoints, kInk, "center");
  }
  body += palette_command(map.palette);
  body += fmt::format("set xrange [-0.5:{}]\nset yrange [{}]\nset cbrange [{:.9g}:{:.9g}]\n",
                      static_cast<double>(cells.columns) - 0.5,
                      map.first_row_on_top ? fmt::format("{}:-0.5", static_cast<double>(cells.rows) - 0.5)
                                           : fmt::format("-0.5:{}", static_cast<double>(cells.rows) - 0.5),
                      scale.low_place(), scale.high_place());
  body +=
      cell_ticks("x", {map.n_columns, cells.column_bin, map.first_column, map.column_step, map.column_labels},
                 canvas.plot_width(), slanted ? 16 : column_pixels_needed);
  if (slanted) body += "set xtics rotate by -35 left\n";
  body += cell_ticks("y", {map.n_rows, cells.row_bin, map.first_row, 1, map.row_labels}, canvas.plot_height(),
                     all_named(map) ? kNamePixels : 15);
  const double bar_left = canvas.right + 18, bar_width = 13;
  body +=
      fmt::format("set colorbox user origin screen {:.6f},{:.6f} size screen {:.6f},{:.6f} front noborder\n",
                  bar_left / canvas.width, 1 - canvas.bottom / canvas.height, bar_width / canvas.width,
                  canvas.plot_height() / canvas.height);
  body += colour_ticks(scale) + "set cbtics scale 0.4\n";
  body += fmt::format(
      "set label {} at screen {:.6f},{:.6f} center rotate by 90 font ',{}' textcolor rgb '{}' front\n",
      gnuplot_quoted(map.value_label), (bar_left + bar_width + 50) / canvas.width,
      1 - (canvas.top + canvas.bottom) / 2 / canvas.height, kTextPoints, kInk);
  body += fmt::format(
      "set object rectangle from graph 0,0 to graph 1,1 behind fillcolor rgb '{}' fillstyle solid noborder\n",
      kBlankColour);
  body += mark_commands(map, canvas) + value_labels(map, canvas, scale);
  body += fmt::format(
      "plot $map matrix using {}:{}:3 with image{} title {}\n", column_times == 2 ? "($1 / 2.0 - 0.25)" : "1",
      row_times == 2 ? "($2 / 2.0 - 0.25)" : "2",
      cells.rows * cells.columns <= kMaxPolygonCells ? " pixels" : "", gnuplot_quoted(map.value_label));
  draw(stem, formats, canvas, data, body);
}

}  // namespace tide::analysis
