#pragma once
// Rows of any table that a command writes, by column name and by key of their policy's spec.

#include <filesystem>
#include <string>
#include <vector>

namespace tide::analysis {

/// A CSV file, or an array of objects inside a JSON file (their fields that are no objects are the columns).
class TableRows {
 public:
  /// `name` relative to `folder`: `sweep/table.csv`, `bench.json#/rows`. Throws InputError.
  TableRows(const std::filesystem::path& folder, const std::string& name);

  std::size_t size() const { return rows_.size(); }
  bool has_column(const std::string& column) const;
  /// A field; of what is no column, the key of the row's policy: its parameters, `name`, and `select`, its
  /// choosing layers. `policy.KEY` is the key where a column has its name. "" where there is neither.
  std::string text(std::size_t row, const std::string& key) const;
  /// A number, also 1/16 and 10%; NaN where there is none.
  double number(std::size_t row, const std::string& key) const;
  const std::string& name() const { return name_; }

 private:
  void read_json(const std::filesystem::path& file, const std::string& pointer);

  std::string name_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// The value at `FILE#/pointer` in a JSON file of `folder`, as text. Throws InputError.
std::string json_text(const std::filesystem::path& folder, const std::string& place);

/// "64", "1/16", "10%" (a tenth); NaN for anything else.
double number_of(const std::string& text);

}  // namespace tide::analysis
