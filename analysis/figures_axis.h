#pragma once
// Axes of charts: range, ticks, grid and legend. Private to figures*.cpp.

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/figures_gnuplot.h"

namespace tide::analysis {

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<double> ticks;

  /// Place of a value between the axis' ends, 0 to 1 inside.
  double share(double value) const;
  /// Range, scale and ticks of axis "x" or "y".
  std::string commands(std::string_view axis) const;
};

/// Collects values and makes an axis of them.
class AxisRange {
 public:
  explicit AxisRange(bool log) : log_(log) {}
  /// NaN, and what has no logarithm on a log axis, is passed over.
  void add(double value);
  /// About `ticks` ticks; a share `padding` of the span stays free at an end that is not fixed.
  Axis axis(std::optional<double> low, std::optional<double> high, int ticks, double padding) const;

 private:
  bool log_;
  bool powers_of_two_ = true;
  std::vector<double> seen_;
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

std::string grid_commands();
/// Legend with its upper left corner at a pixel.
std::string legend_commands(const Canvas& canvas, double left, double top, std::size_t n_entries);

}  // namespace tide::analysis
