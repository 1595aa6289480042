#pragma once
// A paper's figures beside ours: which rows of a run's tables each published figure stands beside.

#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/table_rows.h"

namespace tide::analysis {

/// Column (or key of a policy's spec) -> the values that a row may have; `@FILE.json#/pointer` is the value
/// that stands there, in a file of the run's folder.
using RowFilter = std::map<std::string, std::vector<std::string>>;

/// One line of the comparison: rows of a table, and what a paper says where they stand.
struct PublishedSeries {
  std::string name;
  std::string table;                  ///< CSV, or JSON#/pointer to an array of objects; in the run's folder
  std::string measure;                ///< the column that holds ours
  std::string low, high;              ///< columns of its interval; "": none
  std::optional<RowFilter> where;     ///< absent: we have nothing to put beside it
  std::optional<RowFilter> over;      ///< ours becomes a ratio to this row's
  std::optional<RowFilter> minus;     ///< taken from both before
  std::string x_column;               ///< "": one figure, without an x
  std::vector<double> x;              ///< empty: all that the table has
  std::vector<double> published_x;    ///< of the paper, where it is not ours: [x]
  std::vector<double> published;      ///< [x], NaN: not told; without x: one or none
  bool draw = true;                   ///< in the figure; else in the table alone
  std::string relation;               ///< "" (equal), "<", ">", "about"
  std::string published_for, source;  ///< model, length, hardware; paper and table or figure
};

/// A published.toml.
struct PublishedFigures {
  std::string title, x, y;
  bool log_x = false, log_y = false;
  std::vector<PublishedSeries> series;
};

/// Throws InputError naming file, line and key: an unknown key (with the nearest one), a value of another
/// kind, lists of different lengths, a published figure without its source.
PublishedFigures read_published(const std::filesystem::path& file);

/// One line of compared.csv. Numbers that are not there are NaN.
struct ComparedFigure {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::string series, ours_from;  ///< the row's policy, where its table has one
  bool draw = true;
  double x = kNone, ours = kNone, low = kNone, high = kNone, n = kNone;
  double published_x = kNone, published = kNone;
  std::string relation, published_for, source;
};

/// Looks every series up in the tables of a run's folder. Rows of several tasks or lengths become series of
/// their own. Throws InputError: a table or a column that is not there, rows that nothing tells apart.
std::vector<ComparedFigure> compare_published(const PublishedFigures& published,
                                              const std::filesystem::path& run_folder);

/// compared.csv, and compared.png and .svg where anything can be drawn, into `folder`.
void write_compared(const std::filesystem::path& folder, const PublishedFigures& published,
                    const std::vector<ComparedFigure>& figures);

}  // namespace tide::analysis
