// Charts that hold every method: a line a method, over its budgets.

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/figures.h"
#include "analysis/sweep_summary.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

/// What stands on the y axis, and from which estimate.
struct Measure {
  const char *stem, *title, *label;
  Estimate Configuration::*estimate;
  double factor;
  bool log_y;
};
constexpr Measure kMeasures[] = {
    {"score", "Score", "score (%)", &Configuration::score, 100, false},
    {"logprob", "Answer log-probability", "log-probability of the answer (nats a token)",
     &Configuration::answer_logprob, 1, false},
    {"kl", "Distance from full attention", "KL from full attention (nats)", &Configuration::kl, 1, true},
    {"agree", "Agreement with full attention", "same most likely token (%)", &Configuration::agree, 100,
     false},
    {"perplexity", "Perplexity", "perplexity", &Configuration::perplexity, 1, true},
};

using Cell = std::vector<const Configuration*>;

constexpr std::size_t kManyMethods = 6;

struct Point {
  double x, y, low, high;
};

/// The chart of a cell; nothing when fewer than two points can be drawn.
std::optional<LineChart> chart_of(const Cell& cell, const Measure& measure, const std::string& subtitle) {
  LineChart chart;
  chart.title = fmt::format("{} against rows read", measure.title);
  chart.subtitle = subtitle;
  chart.x_label = "K/V rows read (per KV head, layer and step)";
  chart.y_label = measure.label;
  chart.intervals = LineChart::Intervals::bars;
  chart.log_x = true;
  chart.log_y = measure.log_y;
  if (measure.factor == 100) chart.y_low = -3, chart.y_high = 103;
  std::map<std::string, std::vector<Point>> lines;
  for (const Configuration* c : cell) {
    const Estimate& value = c->*measure.estimate;
    if (value.n == 0 || !std::isfinite(value.mean)) continue;
    // Full attention's distance from itself is 0, which no logarithmic axis shows.
    if (c->is_full && measure.estimate != &Configuration::kl)
      chart.horizontal = {{value.mean * measure.factor, "full attention"}};
    if (c->is_full || !std::isfinite(c->rows_read.mean) || c->rows_read.mean <= 0) continue;
    if (measure.log_y && value.mean <= 0) continue;
    const auto end = [&](double bound) {
      const double shown = std::isfinite(bound) ? bound : value.mean;
      return (measure.log_y && shown <= 0 ? value.mean : shown) * measure.factor;
    };
    lines[c->method].push_back(
        {c->rows_read.mean, value.mean * measure.factor, end(value.low), end(value.high)});
  }
  std::size_t points = 0;
  for (auto& [method, line] : lines) {
    std::sort(line.begin(), line.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
    LineSeries series;
    series.name = method;
    series.bound = method.starts_with("oracle") || method.starts_with("random");
    for (const Point& point : line) {
      series.x.push_back(point.x);
      series.y.push_back(point.y);
      series.low.push_back(point.low);
      series.high.push_back(point.high);
    }
    points += line.size();
    chart.series.push_back(std::move(series));
  }
  if (points < 2) return std::nullopt;
  return chart;
}

std::string counts(const Cell& cell) {
  std::int64_t least = cell.front()->n, most = least;
  for (const Configuration* c : cell) least = std::min(least, c->n), most = std::max(most, c->n);
  return least == most ? fmt::format("n = {}", most) : fmt::format("n = {}-{}", least, most);
}

bool is_ruler(const std::string& task) {
  return task.starts_with("niah_") || task == "vt" || task == "cwe" || task == "fwe" ||
         task.starts_with("qa_");
}

Estimate mean_of(const Cell& tasks, Estimate Configuration::*field) {
  Estimate mean{0, 0, ResultRow::kNone, ResultRow::kNone};
  for (const Configuration* c : tasks) {
    const Estimate& value = c->*field;
    if (value.n == 0) continue;
    ++mean.n;
    mean.mean += value.mean;
  }
  mean.mean = mean.n > 0 ? mean.mean / static_cast<double>(mean.n) : ResultRow::kNone;
  return mean;
}

/// Means over RULER's tasks of one length, of the policies that every task has; each task weighs the same.
std::map<std::int64_t, std::vector<Configuration>> ruler_means(const SweepSummary& summary,
                                                               std::map<std::int64_t, std::size_t>& n_tasks) {
  std::map<std::int64_t, std::set<std::string>> tasks;
  std::map<std::pair<std::int64_t, std::string>, Cell> of_policy;
  for (const Configuration& c : summary.configurations) {
    if (!is_ruler(c.task)) continue;
    tasks[c.length].insert(c.task);
    of_policy[{c.length, c.policy}].push_back(&c);
  }
  std::map<std::int64_t, std::vector<Configuration>> means;
  for (const auto& [key, cell] : of_policy) {
    const std::size_t wanted = tasks[key.first].size();
    const bool sound = std::all_of(cell.begin(), cell.end(), [](const Configuration* c) { return c->n > 0; });
    if (wanted < 2 || cell.size() != wanted || !sound) continue;
    n_tasks[key.first] = wanted;
    Configuration mean = *cell.front();
    for (const auto field : {&Configuration::score, &Configuration::kl, &Configuration::agree,
                             &Configuration::answer_logprob, &Configuration::rows_read})
      mean.*field = mean_of(cell, field);
    mean.perplexity.n = 0;
    means[key.first].push_back(std::move(mean));
  }
  return means;
}

/// Right answers by length and depth, for the methods of one budget and full attention.
std::optional<Heatmap> needle_map(const std::string& task, const std::string& budget,
                                  const std::vector<const Configuration*>& configurations) {
  std::set<double> depths;
  for (const Configuration* c : configurations) {
    for (const auto& [depth, counted] : c->by_depth) depths.insert(depth);
  }
  if (depths.size() < 2) return std::nullopt;
  Heatmap map;
  map.title = fmt::format("Right answers by length and depth: {}", task);
  map.subtitle = fmt::format("budget {}, {} a configuration and length", budget, counts(configurations));
  map.x_label = "depth of the evidence (% of the text before it)";
  map.value_label = "right (%)";
  map.n_columns = std::ssize(depths);
  map.low = 0, map.high = 100;
  for (const double depth : depths) map.column_labels.push_back(fmt::format("{:.0f}", depth * 100));
  for (const Configuration* c : configurations) {
    if (c->by_depth.empty()) continue;
    map.row_labels.push_back(fmt::format("{}, {}", c->is_full ? "full" : c->method, c->length));
    for (const double depth : depths) {
      const auto found = c->by_depth.find(depth);
      map.value.push_back(found == c->by_depth.end() ? NAN
                                                     : 100.0f * static_cast<float>(found->second.first) /
                                                           static_cast<float>(found->second.second));
    }
  }
  map.n_rows = std::ssize(map.row_labels);
  map.show_values = map.n_rows <= 20 && map.n_columns <= 12;
  return map;
}

/// A map a task and budget, where there is more than one length or there are too many methods for the map of
/// the best ones (write_sweep_figures).
void write_needle_maps(const std::filesystem::path& folder, const SweepSummary& summary,
                       std::vector<std::string>& stems) {
  std::map<std::string, std::set<std::int64_t>> lengths;
  std::map<std::string, std::set<std::string>> budgets, methods;
  for (const Configuration& c : summary.configurations) {
    if (c.by_depth.empty()) continue;
    methods[c.task].insert(c.method);
    lengths[c.task].insert(c.length);
    if (!c.budget.empty()) budgets[c.task].insert(c.budget);
  }
  for (const auto& [task, of_task] : budgets) {
    if (lengths[task].size() < 2 && methods[task].size() < kManyMethods) continue;
    for (const std::string& budget : of_task) {
      std::vector<const Configuration*> shown;
      for (const Configuration& c : summary.configurations) {
        if (c.task == task && (c.is_full || c.budget == budget)) shown.push_back(&c);
      }
      std::stable_sort(shown.begin(), shown.end(), [](const Configuration* a, const Configuration* b) {
        return std::tuple(!a->is_full, a->method, a->length) < std::tuple(!b->is_full, b->method, b->length);
      });
      const auto map = needle_map(task, budget, shown);
      if (!map) continue;
      stems.push_back("needle_map" + cell_suffix(task, 0) + "_" + budget);
      write_heatmap(folder / stems.back(), *map);
    }
  }
}

}  // namespace

std::vector<std::string> write_method_figures(const std::filesystem::path& folder,
                                              const SweepSummary& summary) {
  std::vector<std::string> stems;
  std::map<std::pair<std::string, std::int64_t>, Cell> cells;
  for (const Configuration& c : summary.configurations) cells[{c.task, c.length}].push_back(&c);
  const auto write = [&](const Cell& cell, const std::string& suffix, const std::string& subtitle) {
    for (const Measure& measure : kMeasures) {
      const auto chart = chart_of(cell, measure, subtitle);
      if (!chart) continue;
      stems.push_back(fmt::format("methods_{}{}", measure.stem, suffix));
      write_line_chart(folder / stems.back(), *chart);
    }
  };
  for (const auto& [key, cell] : cells) {
    write(cell, cells.size() > 1 ? cell_suffix(key.first, key.second) : "",
          fmt::format("{}, {} a point, 95 % intervals", cell_words(key.first, key.second), counts(cell)));
  }
  std::map<std::int64_t, std::size_t> n_tasks;
  for (const auto& [length, means] : ruler_means(summary, n_tasks)) {
    Cell cell;
    for (const Configuration& mean : means) cell.push_back(&mean);
    write(cell, cell_suffix("ruler", length),
          fmt::format("mean of {} RULER tasks, {} tokens", n_tasks[length], length));
  }
  write_needle_maps(folder, summary, stems);
  return stems;
}

}  // namespace tide::analysis
