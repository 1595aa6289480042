#include "sweep/result_rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "sweep/csv.h"

namespace tide {

ResultRow result_row(const std::vector<std::string>& fields) {
  const auto field = [&](std::string_view column) -> const std::string& {
    const auto& columns = result_columns();
    const auto found = std::find(columns.begin(), columns.end(), column);
    TIDE_ASSERT(found != columns.end());
    return fields[static_cast<std::size_t>(found - columns.begin())];
  };
  const auto number = [&](const char* column) {
    return field(column).empty() ? SweepRow::kNone : parse_number(field(column), column);
  };
  ResultRow row;
  row.key.task = field("task");
  row.key.length = parse_integer(field("length"), "length");
  if (!field("depth").empty()) row.key.depth = number("depth");
  row.key.sample = parse_integer(field("sample"), "sample");
  row.key.seed = static_cast<std::uint64_t>(parse_integer(field("seed"), "seed"));
  row.key.policy = field("policy");
  if (!field("correct").empty()) row.correct = field("correct") == "1" || field("correct") == "true";
  row.answer_logprob = number("answer_logprob");
  row.agree = number("agree");
  row.rows_read = number("rows_read");
  row.status = field("status");
  return row;
}

std::vector<ResultRow> read_result_rows(const std::filesystem::path& path) {
  const auto lines = split(read_text(path), '\n');
  // Columns are only ever added at the end: a file of an earlier version has fewer.
  const auto header = parse_csv_line(lines.front());
  const auto& columns = result_columns();
  const bool known =
      header.size() <= columns.size() && std::equal(header.begin(), header.end(), columns.begin());
  if (!known || std::find(header.begin(), header.end(), "status") == header.end())
    fail_input("{}, line 1: has other columns than this version writes", path.string());
  std::vector<ResultRow> rows;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) rows.push_back(result_row(parse_csv_line(lines[i])));
  return rows;
}

}  // namespace tide
