// published.toml.

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

#include "analysis/published.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

/// Reads keys of one table, with messages that say where.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& file, std::vector<std::string> known)
      : table_(table), file_(file) {
    for (const auto& [key, node] : table) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      fail_input("{}, line {}: key '{}' is unknown; the nearest is '{}'", file_, node.source().begin.line,
                 key.str(), nearest(key.str(), known));
    }
  }

  std::string text(const char* key, const std::string& fallback = "") const {
    const auto* node = table_.get(key);
    if (node == nullptr) return fallback;
    if (!node->is_string()) fail(*node, key, "a text in quotes");
    return node->as_string()->get();
  }
  bool truth(const char* key, bool fallback = false) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return fallback;
    if (!node->is_boolean()) fail(*node, key, "true or false");
    return node->as_boolean()->get();
  }
  /// A number, or a list of them.
  std::vector<double> numbers(const char* key) const {
    std::vector<double> values;
    each(key, [&](const toml::node& node) {
      const auto value = node.value<double>();
      if (!value || node.is_boolean()) fail(node, key, "a number or a list of numbers");
      values.push_back(*value);
    });
    return values;
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> values;
    each(key, [&](const toml::node& node) { values.push_back(scalar(node, key)); });
    return values;
  }
  std::optional<RowFilter> filter(const char* key) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_table()) fail(*node, key, "a table: { column = value }");
    RowFilter filter;
    for (const auto& [column, value] : *node->as_table()) {
      auto& allowed = filter[std::string(column.str())];
      if (const auto* list = value.as_array()) {
        for (const toml::node& item : *list) allowed.push_back(scalar(item, key));
      } else {
        allowed.push_back(scalar(value, key));
      }
    }
    return filter;
  }
  [[noreturn]] void fail(const toml::node& node, const char* key, const std::string& expected) const {
    fail_input("{}, line {}: key '{}': expected {}", file_, node.source().begin.line, key, expected);
  }
  [[noreturn]] void fail(const char* key, const std::string& expected) const {
    fail_input("{}, line {}: key '{}': expected {}", file_, table_.source().begin.line, key, expected);
  }

 private:
  template <typename Visit>
  void each(const char* key, const Visit& visit) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return;
    if (const auto* list = node->as_array()) {
      for (const toml::node& item : *list) visit(item);
    } else {
      visit(*node);
    }
  }
  std::string scalar(const toml::node& node, const char* key) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    fail(node, key, "a text or a number");
  }

  const toml::table& table_;
  const std::string& file_;
};

/// What a series takes from the file where it says nothing itself.
struct Defaults {
  std::string table, measure, source, published_for, x_column;
  std::vector<std::string> interval;
};

PublishedSeries read_series(const Reader& reader, const Defaults& defaults) {
  PublishedSeries series;
  series.name = reader.text("name");
  if (series.name.empty()) reader.fail("name", "what the series is called");
  series.table = reader.text("table", defaults.table);
  series.measure = reader.text("measure", defaults.measure);
  auto interval = reader.texts("interval");
  if (interval.empty()) interval = defaults.interval;
  if (interval.empty()) interval = {series.measure + "_low", series.measure + "_high"};
  if (interval.size() != 2) reader.fail("interval", "two columns: the lower and the upper end");
  series.low = interval[0], series.high = interval[1];
  series.where = reader.filter("where");
  series.over = reader.filter("over");
  series.minus = reader.filter("minus");
  series.x = reader.numbers("x");
  series.x_column = reader.text("x_column", series.x.empty() ? "" : defaults.x_column);
  series.published = reader.numbers("published");
  series.published_x = reader.numbers("published_x");
  series.draw = reader.truth("draw", true);
  series.relation = reader.text("relation");
  series.published_for = reader.text("published_for", defaults.published_for);
  series.source = reader.text("source", series.published.empty() ? "" : defaults.source);
  const std::size_t wanted = series.x.empty() ? 1 : series.x.size();
  if (!series.published.empty() && series.published.size() != wanted)
    reader.fail("published", fmt::format("{} numbers, one an x", wanted));
  if (!series.published_x.empty() && series.published_x.size() != wanted)
    reader.fail("published_x", fmt::format("{} numbers, one an x", wanted));
  if (!series.published.empty() && series.source.empty())
    reader.fail("source", "the paper and its table, figure or section");
  if (series.where && (series.table.empty() || series.measure.empty()))
    reader.fail("where", "a 'table' and a 'measure', here or for the whole file");
  if (!series.where && series.published.empty()) reader.fail("where", "rows of ours, or 'published'");
  return series;
}

}  // namespace

PublishedFigures read_published(const std::filesystem::path& path) {
  const std::string file = path.string();
  toml::table root;
  try {
    root = toml::parse(read_text(path), file);
  } catch (const toml::parse_error& error) {
    fail_input("{}, line {}: {}", file, error.source().begin.line, error.description());
  }
  const Reader reader(root, file,
                      {"title", "x", "y", "log_x", "log_y", "table", "measure", "interval", "source",
                       "published_for", "x_column", "series"});
  PublishedFigures figures{reader.text("title"),  reader.text("x"),      reader.text("y"),
                           reader.truth("log_x"), reader.truth("log_y"), {}};
  const Defaults defaults{reader.text("table"),         reader.text("measure"),  reader.text("source"),
                          reader.text("published_for"), reader.text("x_column"), reader.texts("interval")};
  const auto* list = root["series"].as_array();
  if (list == nullptr || !list->is_array_of_tables()) reader.fail("series", "tables, each under [[series]]");
  for (const toml::node& node : *list) {
    const Reader one(*node.as_table(), file,
                     {"name", "table", "measure", "interval", "where", "over", "minus", "x_column", "x",
                      "draw", "published_x", "published", "relation", "published_for", "source"});
    figures.series.push_back(read_series(one, defaults));
  }
  return figures;
}

}  // namespace tide::analysis
