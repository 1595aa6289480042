// results.csv and latency.csv, by column names. Nothing in the files is trusted.

#include <algorithm>

#include "analysis/sweep_summary.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

struct Record {
  std::int64_t line = 0;  // the first of its lines, from 1
  std::vector<std::string> fields;
};

/// RFC 4180, with \n or \r\n; a last record without its line's end is left out.
std::vector<Record> parse_records(std::string_view text, const std::string& file) {
  std::vector<Record> records;
  Record record{1, {""}};
  std::int64_t line = 1, quote_line = 0;
  bool quoted = false, was_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        record.fields.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        record.fields.back() += text[i++];
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      if (!record.fields.back().empty() || was_quoted) {
        fail_input("{}, line {}: a quote inside a field; expected it at the field's beginning", file, line);
      }
      quoted = was_quoted = true;
      quote_line = line;
    } else if (was_quoted && c != ',' && c != '\n' && c != '\r') {
      fail_input("{}, line {}: text behind a field's closing quote", file, quote_line);
    } else if (c == ',') {
      was_quoted = false;
      record.fields.emplace_back();
    } else if (c == '\n') {
      records.push_back(std::move(record));
      record = {line, {""}};
      was_quoted = false;
    } else if (c != '\r') {
      record.fields.back() += c;
    }
  }
  if (quoted && text.ends_with('\n')) fail_input("{}, line {}: a quote is not closed", file, quote_line);
  return records;
}

/// A file with its header: fields by column name.
class Table {
 public:
  Table(const std::filesystem::path& path, const std::vector<std::string>& required)
      : file_(path.string()), records_(parse_records(read_text(path), file_)) {
    if (records_.empty()) fail_input("{}, line 1: no header; expected {}", file_, fmt::join(required, ","));
    header_ = records_.front().fields;
    for (const std::string& name : required) {
      if (std::find(header_.begin(), header_.end(), name) == header_.end()) {
        fail_input("{}, line 1: no column {}", file_, name);
      }
    }
    for (std::size_t i = 0; i < header_.size(); ++i) {
      if (!column_.emplace(header_[i], i).second)
        fail_input("{}, line 1: column {} twice", file_, header_[i]);
    }
    records_.erase(records_.begin());
    // an empty line is no record; a line with another number of fields is broken
    std::erase_if(records_,
                  [](const Record& record) { return record.fields == std::vector<std::string>{""}; });
    for (const Record& record : records_) {
      if (record.fields.size() != header_.size()) {
        fail_input("{}, line {}: {} fields, expected {}", file_, record.line, record.fields.size(),
                   header_.size());
      }
    }
  }

  const std::vector<Record>& records() const { return records_; }
  const std::vector<std::string>& header() const { return header_; }

  const std::string& text(const Record& record, const std::string& column) const {
    static const std::string absent;
    const auto found = column_.find(column);
    return found == column_.end() ? absent : record.fields[found->second];
  }
  double number(const Record& record, const std::string& column) const {
    const std::string& field = text(record, column);
    if (field.empty() || field == "nan") return ResultRow::kNone;
    return parse_number(field, where(record, column));
  }
  std::int64_t integer(const Record& record, const std::string& column) const {
    return parse_integer(text(record, column), where(record, column));
  }
  std::optional<bool> truth(const Record& record, const std::string& column) const {
    const std::string& field = text(record, column);
    if (field.empty()) return std::nullopt;
    if (field == "1" || field == "true") return true;
    if (field == "0" || field == "false") return false;
    fail_input("{}: '{}', expected 1, 0 or nothing", where(record, column), field);
  }

 private:
  std::string where(const Record& record, const std::string& column) const {
    return fmt::format("{}, line {}, column {}", file_, record.line, column);
  }

  std::string file_;
  std::vector<Record> records_;
  std::vector<std::string> header_;
  std::map<std::string, std::size_t> column_;
};

const std::vector<std::string>& known_columns() {
  static const std::vector<std::string> names = {
      "task",    "length", "depth",  "sample",      "seed",       "policy",     "placement",
      "sharing", "map",    "budget", "first_token", "correct",    "score",      "answer_logprob",
      "kl",      "agree",  "tokens", "rows_read",   "bytes_read", "prefill_ms", "decode_ms_per_token",
      "batch",   "status", "output"};
  return names;
}

}  // namespace

std::vector<ResultRow> read_results(const std::filesystem::path& csv) {
  const Table table(csv, {"task", "length", "sample", "seed", "policy", "placement", "map", "budget",
                          "correct", "rows_read", "status"});
  std::vector<ResultRow> rows;
  for (const Record& record : table.records()) {
    ResultRow row;
    const std::pair<const char*, std::string ResultRow::*> texts[] = {
        {"task", &ResultRow::task},
        {"policy", &ResultRow::policy},
        {"placement", &ResultRow::placement},
        {"sharing", &ResultRow::sharing},
        {"map", &ResultRow::map},
        {"budget", &ResultRow::budget},
        {"first_token", &ResultRow::first_token},
        {"status", &ResultRow::status},
        {"output", &ResultRow::output},
        {"sample", &ResultRow::sample},
        {"seed", &ResultRow::seed}};
    for (const auto& [column, field] : texts) row.*field = table.text(record, column);
    const std::pair<const char*, double ResultRow::*> numbers[] = {
        {"depth", &ResultRow::depth},
        {"score", &ResultRow::score},
        {"answer_logprob", &ResultRow::answer_logprob},
        {"kl", &ResultRow::kl},
        {"agree", &ResultRow::agree},
        {"tokens", &ResultRow::tokens},
        {"rows_read", &ResultRow::rows_read},
        {"bytes_read", &ResultRow::bytes_read},
        {"prefill_ms", &ResultRow::prefill_ms},
        {"decode_ms_per_token", &ResultRow::decode_ms_per_token},
        {"batch", &ResultRow::batch}};
    for (const auto& [column, field] : numbers) row.*field = table.number(record, column);
    row.length = table.integer(record, "length");
    row.correct = table.truth(record, "correct");
    for (const std::string& column : table.header()) {
      const auto& known = known_columns();
      if (std::find(known.begin(), known.end(), column) == known.end()) {
        row.extra[column] = table.text(record, column);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<LatencyRow> read_latencies(const std::filesystem::path& csv) {
  const Table table(csv, {"policy", "placement", "budget", "map", "length", "kv_len", "batch", "median_ms",
                          "low_ms", "high_ms", "steps"});
  std::vector<LatencyRow> rows;
  for (const Record& record : table.records()) {
    LatencyRow row;
    row.policy = table.text(record, "policy");
    row.placement = table.text(record, "placement");
    row.budget = table.text(record, "budget");
    row.map = table.text(record, "map");
    row.length = table.integer(record, "length");
    row.kv_len = table.integer(record, "kv_len");
    row.batch = table.integer(record, "batch");
    row.steps = table.integer(record, "steps");
    row.median_ms = table.number(record, "median_ms");
    row.low_ms = table.number(record, "low_ms");
    row.high_ms = table.number(record, "high_ms");
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace tide::analysis
