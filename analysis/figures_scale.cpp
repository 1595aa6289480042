#include "analysis/figures_scale.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "analysis/figures_gnuplot.h"
#include "base/error.h"

namespace tide::analysis {

double Scale::place(double value) const {
  if (std::isnan(value)) return value;
  if (!log) return std::clamp(value, low, high);
  return std::log10(std::clamp(value, low, high));
}

Scale colour_scale(const Heatmap& map) {
  Scale scale;
  scale.log = map.log_scale;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const float value : map.value) {
    if (!std::isfinite(value) || (map.log_scale && value <= 0)) continue;
    least = std::min<double>(least, value);
    most = std::max<double>(most, value);
  }
  if (!(least <= most)) least = map.log_scale ? 0.1 : 0, most = 1;
  scale.low = map.low.value_or(least);
  scale.high = map.high.value_or(most);
  if (map.log_scale && !(scale.low > 0)) {
    fail_input("draw heatmap {}: a log scale from {} has no logarithm, expected a lower end above 0",
               map.title, scale.low);
  }
  if (scale.high < scale.low) fail_input("draw heatmap {}: range {} to {}", map.title, scale.low, scale.high);
  if (scale.high == scale.low) {  // one value only: a range around it
    scale.high =
        map.log_scale ? scale.high * 10 : scale.high + (scale.high == 0 ? 1 : std::fabs(scale.high) / 2);
  }
  return scale;
}

std::string colour_ticks(const Scale& scale) {
  std::vector<double> places;
  std::vector<std::string> texts;
  if (scale.log && scale.high_place() - scale.low_place() >= 0.9) {
    const int first = static_cast<int>(std::ceil(scale.low_place() - 1e-9));
    const int last = static_cast<int>(std::floor(scale.high_place() + 1e-9));
    const int stride = std::max(1, (last - first + 1) / 7);
    for (int decade = first; decade <= last; decade += stride) {
      places.push_back(decade);
      texts.push_back(tick_text(std::pow(10.0, decade)));
    }
  } else {
    const double step = nice_step(scale.high - scale.low, 6);
    for (double i = std::ceil(scale.low / step - 1e-9); i * step <= scale.high + step * 1e-9; ++i) {
      places.push_back(scale.place(i * step));
      texts.push_back(tick_text(std::fabs(i * step) < step * 1e-6 ? 0 : i * step));
    }
  }
  return tick_command("cb", places, texts);
}

}  // namespace tide::analysis
