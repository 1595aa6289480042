#include "analysis/published.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "analysis/figures.h"
#include "base/error.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

/// Equal as text, or as numbers: "0.10" is 0.1.
bool same(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const double x = number_of(a), y = number_of(b);
  return !std::isnan(x) && x == y;
}

bool matches(const TableRows& table, std::size_t row, const RowFilter& filter) {
  return std::all_of(filter.begin(), filter.end(), [&](const auto& entry) {
    const std::string value = table.text(row, entry.first);
    return std::any_of(entry.second.begin(), entry.second.end(),
                       [&](const std::string& allowed) { return same(value, allowed); });
  });
}

/// Task and length of a row, where its table has them: what makes a series of its own.
std::string cell_of(const TableRows& table, std::size_t row, const std::string& x_column) {
  std::string cell;
  for (const char* column : {"task", "length"}) {
    if (!table.has_column(column) || x_column == column) continue;
    const std::string value = table.text(row, column);
    if (!value.empty() && value != "0") cell += (cell.empty() ? "" : ", ") + value;
  }
  return cell;
}

class Lookup {
 public:
  Lookup(const TableRows& table, const PublishedSeries& series) : table_(table), series_(series) {
    if (!table.has_column(series.measure))
      fail_input("{}: has no column {} (series '{}')", table.name(), series.measure, series.name);
    for (std::size_t row = 0; row < table.size(); ++row) {
      if (!matches(table, row, *series.where)) continue;
      const double x = series.x_column.empty() ? ComparedFigure::kNone : table.number(row, series.x_column);
      if (!series.x_column.empty() && std::isnan(x)) continue;
      auto& known = rows_[cell_of(table, row, series.x_column)];
      if (!known.emplace(series.x_column.empty() ? 0 : x, row).second) {
        fail_input("{}: series '{}': two rows match{}; name another column in 'where'", table.name(),
                   series.name, std::isnan(x) ? "" : fmt::format(" at {} = {}", series.x_column, x));
      }
    }
  }

  /// Cell -> x -> row.
  const std::map<std::string, std::map<double, std::size_t>>& rows() const { return rows_; }

  ComparedFigure figure(std::size_t row) const {
    ComparedFigure made;
    made.ours = table_.number(row, series_.measure);
    made.n = table_.has_column("n") ? table_.number(row, "n") : ComparedFigure::kNone;
    made.ours_from = table_.text(row, "policy");
    if (!series_.over && !series_.minus) {
      if (table_.has_column(series_.low)) made.low = table_.number(row, series_.low);
      if (table_.has_column(series_.high)) made.high = table_.number(row, series_.high);
      return made;
    }
    const double base = series_.minus ? reference(*series_.minus, row) : 0;
    made.ours -= base;
    if (series_.over) made.ours /= reference(*series_.over, row) - base;
    return made;
  }

 private:
  /// The measure of the one row that a filter names, at the same place where the filter does not say another.
  double reference(const RowFilter& filter, std::size_t row) const {
    const std::set<std::string> places{"task", "length", series_.x_column};
    std::vector<std::size_t> found;
    for (std::size_t other = 0; other < table_.size(); ++other) {
      const bool same_place = std::all_of(places.begin(), places.end(), [&](const std::string& column) {
        return column.empty() || !table_.has_column(column) || filter.contains(column) ||
               table_.text(other, column) == table_.text(row, column);
      });
      if (same_place && matches(table_, other, filter)) found.push_back(other);
    }
    if (found.size() > 1) {
      fail_input("{}: series '{}': {} rows match its reference, expected one", table_.name(), series_.name,
                 found.size());
    }
    return found.empty() ? ComparedFigure::kNone : table_.number(found[0], series_.measure);
  }

  const TableRows& table_;
  const PublishedSeries& series_;
  std::map<std::string, std::map<double, std::size_t>> rows_;
};

/// The published half of a line.
ComparedFigure published_at(const PublishedSeries& series, std::size_t at) {
  ComparedFigure made;
  made.series = series.name;
  made.draw = series.draw;
  if (at < series.x.size()) made.x = series.x[at];
  if (at < series.published.size()) {
    made.published = series.published[at];
    made.published_x = at < series.published_x.size() ? series.published_x[at] : made.x;
    made.relation = series.relation;
    made.published_for = series.published_for;
    made.source = series.source;
  }
  return made;
}

void append(const PublishedSeries& series, const TableRows* table, std::vector<ComparedFigure>& out) {
  std::map<std::string, std::map<double, std::size_t>> cells;
  std::optional<Lookup> lookup;
  if (table) {
    lookup.emplace(*table, series);
    cells = lookup->rows();
  }
  if (cells.empty()) cells[""] = {};
  for (const auto& [cell, rows] : cells) {
    std::set<double> places(series.x.begin(), series.x.end());
    if (series.x.empty()) {
      for (const auto& [x, row] : rows) places.insert(x);
      if (places.empty()) places.insert(0);
    }
    for (const double x : places) {
      const auto listed = std::find(series.x.begin(), series.x.end(), x) - series.x.begin();
      const bool alone = series.x.empty();
      ComparedFigure made = published_at(series, alone ? 0 : static_cast<std::size_t>(listed));
      if (const auto found = rows.find(x); found != rows.end()) {
        const ComparedFigure ours = lookup->figure(found->second);
        made.ours = ours.ours, made.low = ours.low, made.high = ours.high, made.n = ours.n;
        made.ours_from = ours.ours_from;
      }
      if (std::isnan(made.ours) && std::isnan(made.published)) continue;  // neither ran it
      if (!series.x_column.empty()) made.x = x;
      if (cells.size() > 1) made.series += " (" + cell + ")";
      out.push_back(std::move(made));
    }
  }
}

std::string number(double value) { return std::isnan(value) ? "" : fmt::format("{:.6g}", value); }

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string csv_of(const std::vector<ComparedFigure>& figures) {
  std::string text =
      "series,x,ours,ours_low,ours_high,n,published_x,relation,published,published_for,source,ours_from\n";
  for (const ComparedFigure& f : figures) {
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", quoted(f.series), number(f.x), number(f.ours),
                    number(f.low), number(f.high), number(f.n), number(f.published_x), f.relation,
                    number(f.published), quoted(f.published_for), quoted(f.source), quoted(f.ours_from));
  }
  return text;
}

/// Ours as it is, the paper's dashed in the same colour; what has no x as a dotted line.
LineChart chart_of(const PublishedFigures& published, const std::vector<ComparedFigure>& figures) {
  LineChart chart;
  chart.title = published.title;
  const bool has_both = std::any_of(figures.begin(), figures.end(), [](const ComparedFigure& f) {
    return f.draw && !std::isnan(f.published) && !std::isnan(f.x);
  });
  chart.subtitle = fmt::format("measured here, with 95 % intervals where there are any{}",
                               has_both ? "; dashed: published" : "");
  chart.x_label = published.x;
  chart.y_label = published.y;
  chart.log_x = published.log_x;
  chart.log_y = published.log_y;
  chart.intervals = LineChart::Intervals::bars;
  std::vector<std::string> names;
  for (const ComparedFigure& f : figures) {
    if (std::find(names.begin(), names.end(), f.series) == names.end()) names.push_back(f.series);
  }
  int colour = 0;
  for (const std::string& name : names) {
    LineSeries ours, theirs;
    ours.name = name, theirs.name = name + ", published", theirs.dashed = true;
    for (const ComparedFigure& f : figures) {
      if (f.series != name || !f.draw) continue;
      if (std::isnan(f.x)) {
        if (!std::isnan(f.ours)) chart.horizontal.push_back({f.ours, name});
        continue;
      }
      if (!std::isnan(f.ours) && !(published.log_y && f.ours <= 0)) {
        ours.x.push_back(f.x), ours.y.push_back(f.ours);
        const auto end = [&](double bound) {
          return std::isnan(bound) || (published.log_y && bound <= 0) ? f.ours : bound;
        };
        ours.low.push_back(end(f.low)), ours.high.push_back(end(f.high));
      }
      if (!std::isnan(f.published)) theirs.x.push_back(f.published_x), theirs.y.push_back(f.published);
    }
    ours.colour = theirs.colour = colour;
    if (!ours.x.empty() || !theirs.x.empty()) ++colour;
    if (!ours.x.empty()) chart.series.push_back(std::move(ours));
    if (!theirs.x.empty()) chart.series.push_back(std::move(theirs));
  }
  return chart;
}

/// With the values that stand in files of the run (`@FILE.json#/pointer`).
PublishedSeries resolved(PublishedSeries series, const std::filesystem::path& folder) {
  for (auto* filter : {&series.where, &series.over, &series.minus}) {
    if (!*filter) continue;
    for (auto& [column, allowed] : **filter) {
      for (std::string& value : allowed) {
        const bool stands_elsewhere = value.starts_with('@') && value.find('#') != std::string::npos;
        if (stands_elsewhere) value = json_text(folder, value.substr(1));
      }
    }
  }
  return series;
}

}  // namespace

std::vector<ComparedFigure> compare_published(const PublishedFigures& published,
                                              const std::filesystem::path& run_folder) {
  std::map<std::string, std::unique_ptr<TableRows>> tables;
  std::vector<ComparedFigure> figures;
  for (const PublishedSeries& series : published.series) {
    const TableRows* table = nullptr;
    if (series.where) {
      auto& known = tables[series.table];
      if (!known) known = std::make_unique<TableRows>(run_folder, series.table);
      table = known.get();
    }
    append(resolved(series, run_folder), table, figures);
  }
  return figures;
}

void write_compared(const std::filesystem::path& folder, const PublishedFigures& published,
                    const std::vector<ComparedFigure>& figures) {
  write_text_atomically(folder / "compared.csv", csv_of(figures));
  const LineChart chart = chart_of(published, figures);
  if (!chart.series.empty()) write_line_chart(folder / "compared", chart);
}

}  // namespace tide::analysis
