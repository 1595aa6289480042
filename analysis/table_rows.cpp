#include "analysis/table_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "analysis/csv_table.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

constexpr std::string_view kSpecKey = "policy.";

/// "FFS.....S…" -> "2+8".
std::string choosing_layers(const std::string& placement) {
  std::string layers;
  for (std::size_t layer = 0; layer < placement.size(); ++layer) {
    if (placement[layer] != 'S' && placement[layer] != 'E') continue;
    layers += (layers.empty() ? "" : "+") + std::to_string(layer);
  }
  return layers;
}

/// A key of a canonical spec.
std::string spec_value(const std::string& spec, const std::string& key) {
  const auto colon = spec.find(':');
  if (key == "name") return spec.substr(0, colon);
  if (key == "select") return choosing_layers(spec_value(spec, "placement"));
  if (colon == std::string::npos) return "";
  for (const std::string& field : split(std::string_view(spec).substr(colon + 1), ',')) {
    if (field.starts_with(key + "=")) return field.substr(key.size() + 1);
  }
  return "";
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.9g}", value.get<double>());
  return value.is_null() ? "" : value.dump();
}

nlohmann::json json_at(const std::filesystem::path& file, const std::string& pointer) {
  try {
    return nlohmann::json::parse(read_text(file)).at(nlohmann::json::json_pointer(pointer));
  } catch (const nlohmann::json::exception&) {  // broken, or a pointer to nothing
    fail_input("{}: has nothing at {}, expected JSON with it", file.string(), pointer);
  }
}

}  // namespace

std::string json_text(const std::filesystem::path& folder, const std::string& place) {
  const auto hash = place.find('#');
  if (hash == std::string::npos) fail_input("{}: names no place in its file, expected FILE#/pointer", place);
  return text_of(json_at(folder / place.substr(0, hash), place.substr(hash + 1)));
}

double number_of(const std::string& text) {
  const auto plain = [](const std::string& digits) {
    std::size_t read = 0;
    try {
      const double value = std::stod(digits, &read);
      if (read == digits.size()) return value;
    } catch (const std::exception&) {  // no number at all
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  if (text.ends_with('%')) return plain(text.substr(0, text.size() - 1)) / 100;
  const auto slash = text.find('/');
  if (slash == std::string::npos) return plain(text);
  return plain(text.substr(0, slash)) / plain(text.substr(slash + 1));
}

TableRows::TableRows(const std::filesystem::path& folder, const std::string& name) : name_(name) {
  const auto hash = name.find('#');
  const std::filesystem::path file = folder / name.substr(0, hash);
  if (!std::filesystem::exists(file)) fail_input("{}: is not there", file.string());
  if (file.extension() == ".json") {
    read_json(file, hash == std::string::npos ? "/rows" : name.substr(hash + 1));
    return;
  }
  const CsvTable table(file, {});
  header_ = table.header();
  for (const CsvRecord& record : table.records()) rows_.push_back(record.fields);
}

void TableRows::read_json(const std::filesystem::path& file, const std::string& pointer) {
  const nlohmann::json rows = json_at(file, pointer);
  if (!rows.is_array()) fail_input("{}: has no array at {}", file.string(), pointer);
  for (const auto& object : rows) {
    if (!object.is_object()) fail_input("{}: the array at {} has more than objects", file.string(), pointer);
    std::vector<std::string> fields(header_.size());
    for (const auto& [key, value] : object.items()) {
      if (value.is_object()) continue;
      const auto column = std::find(header_.begin(), header_.end(), key) - header_.begin();
      if (column == std::ssize(header_)) {
        header_.push_back(key);
        fields.emplace_back();
        for (auto& row : rows_) row.emplace_back();
      }
      fields[static_cast<std::size_t>(column)] = text_of(value);
    }
    rows_.push_back(std::move(fields));
  }
}

bool TableRows::has_column(const std::string& column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

std::string TableRows::text(std::size_t row, const std::string& key) const {
  const auto field = [&](const std::string& column) -> const std::string* {
    const auto found = std::find(header_.begin(), header_.end(), column) - header_.begin();
    return found == std::ssize(header_) ? nullptr : &rows_[row][static_cast<std::size_t>(found)];
  };
  if (const std::string* own = field(key)) return *own;
  const std::string* policy = field("policy");
  if (policy == nullptr) return "";
  return spec_value(*policy, key.starts_with(kSpecKey) ? key.substr(kSpecKey.size()) : key);
}

double TableRows::number(std::size_t row, const std::string& key) const { return number_of(text(row, key)); }

}  // namespace tide::analysis
