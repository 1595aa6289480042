#include "analysis/figures_axis.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tide::analysis {
namespace {

std::vector<double> linear_ticks(double low, double high, int most) {
  const double step = nice_step(high - low, most);
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

/// Round numbers of every decade, the fewer the more decades there are.
std::vector<double> log_ticks(double low, double high, int most) {
  std::vector<double> ticks;
  const double decades = std::log10(high / low);
  for (double exponent = std::floor(std::log10(low)); exponent <= std::ceil(std::log10(high)); ++exponent) {
    for (const double factor : {1.0, 1.5, 2.0, 3.0, 5.0, 7.0}) {
      const bool coarse = factor == 1.0, medium = coarse || factor == 2.0 || factor == 5.0;
      if (!coarse && decades * 3 > most) continue;
      if (!medium && decades > 1.2) continue;
      const double value = factor * std::pow(10.0, exponent);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push_back(value);
    }
  }
  return ticks;
}

bool is_power_of_two(double value) {
  int exponent = 0;
  return value >= 1 && std::frexp(value, &exponent) == 0.5;
}

}  // namespace

double Axis::share(double value) const {
  if (log) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

std::string Axis::commands(std::string_view axis) const {
  std::vector<std::string> texts;
  for (const double tick : ticks) texts.push_back(tick_text(tick));
  return fmt::format("set {}range [{:.9g}:{:.9g}]\n{}{}", axis, low, high,
                     log ? fmt::format("set logscale {}\n", axis) : std::string(),
                     tick_command(axis, ticks, texts));
}

void AxisRange::add(double value) {
  if (!std::isfinite(value) || (log_ && value <= 0)) return;
  least_ = std::min(least_, value);
  most_ = std::max(most_, value);
  powers_of_two_ = powers_of_two_ && is_power_of_two(value);
  if (std::find(seen_.begin(), seen_.end(), value) == seen_.end()) seen_.push_back(value);
}

Axis AxisRange::axis(std::optional<double> low, std::optional<double> high, int most_ticks,
                     double padding) const {
  double least = least_, most = most_;
  if (!(least <= most)) least = log_ ? 1 : 0, most = log_ ? 10 : 1;  // nothing but gaps
  least = low.value_or(least);
  most = high.value_or(most);
  if (log_ && !(least > 0)) fail_input("log axis from {}: expected a lower end above 0", least);
  if (least > most) fail_input("axis from {} to {}: the lower end is above the upper one", least, most);
  if (least == most) {
    const double half = log_ ? 0 : (least == 0 ? 0.5 : std::fabs(least) * 0.1);
    least = low.value_or(log_ ? least / 2 : least - half);
    most = high.value_or(log_ ? most * 2 : most + half);
    if (least >= most) most = log_ ? least * 2 : least + 1;
  }
  Axis axis;
  axis.log = log_;
  const double span = log_ ? std::log(most / least) : most - least;
  const auto beyond = [&](double value, double share) {
    return log_ ? value * std::exp(share * span) : value + share * span;
  };
  axis.low = low ? least : beyond(least, -padding);
  axis.high = high ? most : beyond(most, padding);
  // shares and counts do not go below 0 only because of the padding
  if (!log_ && least >= 0 && axis.low < 0) axis.low = 0;
  if (log_ && powers_of_two_ && seen_.size() > 1 && static_cast<int>(seen_.size()) <= most_ticks + 4) {
    axis.ticks = seen_;
    std::sort(axis.ticks.begin(), axis.ticks.end());
  } else {
    axis.ticks =
        log_ ? log_ticks(axis.low, axis.high, most_ticks) : linear_ticks(axis.low, axis.high, most_ticks);
  }
  return axis;
}

std::string grid_commands() {
  return "set grid xtics ytics back linetype 1 linewidth 0.5 linecolor rgb '#e2e2e2'\nset border 3\n";
}

std::string legend_commands(const Canvas& canvas, double left, double top, std::size_t n_entries) {
  return fmt::format(
      "set key at screen {:.6f},{:.6f} left top vertical maxrows {} Left reverse samplen 2.6 spacing 1.15 "
      "width 0 font "
      "',{}' textcolor rgb '{}'\n",
      left / canvas.width, 1 - top / canvas.height, std::max<std::size_t>(n_entries, 1), kSmallPoints, kInk);
}

}  // namespace tide::analysis
