// Quality against a parameter of a method: a chart wherever a sweep has three or more values of one.

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/figures.h"
#include "analysis/sweep_summary.h"
#include "analysis/table_rows.h"
#include "base/error.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

using Parameters = std::map<std::string, std::string>;
using Cell = std::vector<const Configuration*>;

/// What stands on the y axis, and from which estimate.
struct Measure {
  const char *stem, *title, *label;
  Estimate Configuration::*estimate;
  double factor;
};
constexpr Measure kMeasures[] = {
    {"score", "Score", "score (%)", &Configuration::score, 100},
    {"kl", "Distance from full attention", "KL from full attention (nats)", &Configuration::kl, 1},
    {"perplexity", "Perplexity", "perplexity", &Configuration::perplexity, 1},
    {"reuse", "Hits of the cache of sets", "sets reused (%)", &Configuration::reuse_rate, 100},
};
constexpr std::size_t kLeastValues = 3;

Parameters parameters_of(const std::string& policy) {
  Parameters parameters;
  const auto colon = policy.find(':');
  if (colon == std::string::npos) return parameters;
  for (const std::string& field : split(std::string_view(policy).substr(colon + 1), ',')) {
    const auto equals = field.find('=');
    if (equals != std::string::npos) parameters[field.substr(0, equals)] = field.substr(equals + 1);
  }
  return parameters;
}

/// Keys other than the budget with three or more different numbers.
std::vector<std::string> varied_keys(const std::vector<Parameters>& all) {
  std::map<std::string, std::set<double>> values;
  for (const Parameters& parameters : all) {
    for (const auto& [key, value] : parameters) {
      if (key != "budget" && !std::isnan(number_of(value))) values[key].insert(number_of(value));
    }
  }
  std::vector<std::string> keys;
  for (const auto& [key, of_key] : values) {
    if (of_key.size() >= kLeastValues) keys.push_back(key);
  }
  return keys;
}

/// A line's name: its budget and in what else it differs from the other lines.
std::string line_name(const Configuration& c, const Parameters& mine, const std::string& key,
                      const std::vector<Parameters>& all) {
  std::string name = c.budget.empty() ? "" : "budget " + c.budget;
  for (const auto& [other, value] : mine) {
    if (other == key || other == "budget") continue;
    const bool differs =
        std::any_of(all.begin(), all.end(), [&, &known = other, &text = value](const Parameters& p) {
          const auto found = p.find(known);
          return found != p.end() && found->second != text;
        });
    if (!differs) continue;
    const std::string words = other == "placement" ? "select " + c.selection
                              : other == "map"     ? c.heads
                                                   : other + "=" + value;
    name += (name.empty() ? "" : ", ") + words;
  }
  return name.empty() ? c.policy.substr(0, c.policy.find(':')) : name;
}

std::optional<LineChart> chart_of(const Cell& cell, const std::vector<Parameters>& all,
                                  const std::string& key, const Measure& measure, const Configuration* full) {
  LineChart chart;
  chart.x_label = key;
  chart.y_label = measure.label;
  chart.intervals = LineChart::Intervals::bars;
  if (measure.factor == 100) chart.y_low = -3, chart.y_high = 103;
  std::map<std::string, std::map<double, Estimate>> lines;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const auto found = all[i].find(key);
    const Estimate& value = cell[i]->*measure.estimate;
    if (found == all[i].end() || std::isnan(number_of(found->second))) continue;
    if (value.n == 0 || std::isnan(value.mean)) continue;
    lines[line_name(*cell[i], all[i], key, all)][number_of(found->second)] = value;
  }
  for (const auto& [name, points] : lines) {
    if (points.size() < 2) continue;
    LineSeries series;
    series.name = name;
    for (const auto& [x, value] : points) {
      series.x.push_back(x);
      series.y.push_back(value.mean * measure.factor);
      series.low.push_back((std::isnan(value.low) ? value.mean : value.low) * measure.factor);
      series.high.push_back((std::isnan(value.high) ? value.mean : value.high) * measure.factor);
    }
    chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return std::nullopt;
  std::stable_sort(chart.series.begin(), chart.series.end(), [](const LineSeries& a, const LineSeries& b) {
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
  });
  const bool bounded =
      measure.estimate == &Configuration::score || measure.estimate == &Configuration::perplexity;
  if (full && bounded && (full->*measure.estimate).n > 0)
    chart.horizontal = {{(full->*measure.estimate).mean * measure.factor, "full attention"}};
  return chart;
}

}  // namespace

std::vector<std::string> write_parameter_figures(const std::filesystem::path& folder,
                                                 const SweepSummary& summary) {
  std::vector<std::string> stems;
  std::map<std::pair<std::string, std::int64_t>, std::map<std::string, Cell>> cells;
  for (const Configuration& c : summary.configurations)
    cells[{c.task, c.length}][c.policy.substr(0, c.policy.find(':'))].push_back(&c);
  for (const auto& [place, methods] : cells) {
    const auto full = methods.find("full");
    for (const auto& [method, cell] : methods) {
      std::vector<Parameters> all;
      for (const Configuration* c : cell) all.push_back(parameters_of(c->policy));
      for (const std::string& key : varied_keys(all)) {
        for (const Measure& measure : kMeasures) {
          auto chart =
              chart_of(cell, all, key, measure, full == methods.end() ? nullptr : full->second.front());
          if (!chart) continue;
          chart->title = fmt::format("{} against {} of {}", measure.title, key, method);
          chart->subtitle = fmt::format("{}, 95 % intervals", cell_words(place.first, place.second));
          stems.push_back(fmt::format("parameter_{}_{}_{}{}", method, key, measure.stem,
                                      cells.size() > 1 ? cell_suffix(place.first, place.second) : ""));
          write_line_chart(folder / stems.back(), *chart);
        }
      }
    }
  }
  return stems;
}

}  // namespace tide::analysis
