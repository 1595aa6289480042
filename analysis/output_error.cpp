#include "analysis/output_error.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <tuple>

#include "analysis/csv_table.h"
#include "analysis/figures.h"
#include "analysis/statistics.h"
#include "base/error.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

Estimate estimate(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  const Interval interval = bootstrap_interval(values);
  return {static_cast<std::int64_t>(values.size()), sum / static_cast<double>(values.size()), interval.low,
          interval.high};
}

std::string number(double value) { return std::isnan(value) ? "" : fmt::format("{:.6g}", value); }

const Configuration* configuration_of(const LayerErrors& errors, const SweepSummary& summary) {
  for (const Configuration& c : summary.configurations) {
    if (c.policy == errors.policy) return &c;
  }
  return nullptr;
}

/// The name of a configuration in its summary; its spec when it is not there.
std::string name_of(const LayerErrors& errors, const SweepSummary& summary) {
  const Configuration* c = configuration_of(errors, summary);
  if (c == nullptr) return errors.policy;
  return c->budget.empty() ? c->method : fmt::format("{}, budget {}", c->method, c->budget);
}

/// By method, then by the size of the budget.
void sort_rows(std::vector<const LayerErrors*>& cell, const SweepSummary& summary) {
  const auto rank = [&](const LayerErrors* errors) {
    const Configuration* c = configuration_of(*errors, summary);
    if (c == nullptr) return std::tuple(errors->policy, 0.0);
    return std::tuple(c->method, std::strtod(c->budget.c_str(), nullptr));
  };
  std::stable_sort(cell.begin(), cell.end(),
                   [&](const LayerErrors* a, const LayerErrors* b) { return rank(a) < rank(b); });
}

Heatmap heatmap_of(const std::vector<const LayerErrors*>& cell, const SweepSummary& summary) {
  Heatmap map;
  map.title = "Error of the attention output";
  map.subtitle =
      fmt::format("{}, n = {} a configuration", cell_words(cell.front()->task, cell.front()->length),
                  cell.front()->layer.front().n);
  map.x_label = "layer";
  map.value_label = "||policy - full|| / ||full||";
  map.n_rows = std::ssize(cell);
  map.n_columns = std::ssize(cell.front()->layer);
  // Good methods lie decades below poor ones; below a hundredth they are all one colour.
  map.log_scale = true;
  map.low = 0.01;
  float highest = 1;
  for (const LayerErrors* errors : cell) {
    map.row_labels.push_back(name_of(*errors, summary));
    for (const Estimate& layer : errors->layer) {
      map.value.push_back(static_cast<float>(layer.mean));
      highest = std::max(highest, map.value.back());
    }
  }
  map.high = highest;
  return map;
}

}  // namespace

std::vector<LayerErrors> read_output_errors(const std::filesystem::path& csv) {
  const CsvTable table(csv, {"task", "length", "depth", "sample", "seed", "policy", "layer", "output_error"});
  using Key = std::tuple<std::string, std::int64_t, std::string>;
  std::map<Key, std::map<std::int64_t, std::map<std::string, double>>> values;  // layer -> sample -> error
  for (const CsvRecord& record : table.records()) {
    const double error = table.number(record, "output_error");
    if (std::isnan(error)) continue;
    const std::string sample = fmt::format("{} {} {}", table.text(record, "depth"),
                                           table.text(record, "sample"), table.text(record, "seed"));
    const Key key{table.text(record, "task"), table.integer(record, "length"), table.text(record, "policy")};
    values[key][table.integer(record, "layer")][sample] = error;
  }
  std::vector<LayerErrors> all;
  for (const auto& [key, layers] : values) {
    LayerErrors& errors = all.emplace_back();
    std::tie(errors.task, errors.length, errors.policy) = key;
    for (const auto& [layer, of_sample] : layers) {
      if (layer != std::ssize(errors.layer))
        fail_input("{}: layer {} of {} is not there", csv.string(), errors.layer.size(), errors.policy);
      std::vector<double> list;
      for (const auto& [sample, error] : of_sample) list.push_back(error);
      errors.layer.push_back(estimate(list));
    }
  }
  return all;
}

void write_output_errors(const std::filesystem::path& folder, const std::vector<LayerErrors>& errors,
                         const SweepSummary& summary) {
  std::string text = "task,length,policy,layer,n,output_error,low,high\n";
  std::map<std::pair<std::string, std::int64_t>, std::vector<const LayerErrors*>> cells;
  for (const LayerErrors& one : errors) {
    cells[{one.task, one.length}].push_back(&one);
    for (std::size_t layer = 0; layer < one.layer.size(); ++layer) {
      const Estimate& e = one.layer[layer];
      text += fmt::format("\"{}\",{},\"{}\",{},{},{},{},{}\n", one.task, one.length, one.policy, layer, e.n,
                          number(e.mean), number(e.low), number(e.high));
    }
  }
  write_text_atomically(folder / "output_error_by_layer.csv", text);
  for (auto& [key, cell] : cells) {
    sort_rows(cell, summary);
    const std::string suffix = cells.size() > 1 ? cell_suffix(key.first, key.second) : "";
    write_heatmap(folder / ("output_error" + suffix), heatmap_of(cell, summary));
  }
}

}  // namespace tide::analysis
