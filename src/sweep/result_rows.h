#pragma once
// results.csv read back: what a search or a validation goes on from.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sweep/results.h"

namespace tide {

/// The columns of a row that are read back.
struct ResultRow {
  RowKey key;
  std::optional<bool> correct;
  double answer_logprob = SweepRow::kNone;  ///< NaN where the field is empty
  double agree = SweepRow::kNone;
  double rows_read = SweepRow::kNone;
  std::string status;
};

/// A row from its fields, in the order of result_columns(). Throws InputError: a field that is no number.
ResultRow result_row(const std::vector<std::string>& fields);

/// All rows of a file, as written: of two with one key, both. A last line without its end is left out. Throws
/// InputError: a file that cannot be read, other columns.
std::vector<ResultRow> read_result_rows(const std::filesystem::path& path);

}  // namespace tide
