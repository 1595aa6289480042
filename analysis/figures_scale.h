#pragma once
// Colour scales of heatmaps. Private to figures*.cpp.

#include <cmath>
#include <string>

#include "analysis/figures.h"

namespace tide::analysis {

/// The colour scale: from values to numbers that gnuplot maps linearly.
struct Scale {
  double low = 0, high = 1;  // in values
  bool log = false;

  /// NaN stays NaN; what is outside the range counts as its end.
  double place(double value) const;
  double low_place() const { return log ? std::log10(low) : low; }
  double high_place() const { return log ? std::log10(high) : high; }
};

/// The map's range, or that of its values. Throws InputError when it has no logarithm or is upside down.
Scale colour_scale(const Heatmap& map);

/// Ticks of the colour bar.
std::string colour_ticks(const Scale& scale);

}  // namespace tide::analysis
