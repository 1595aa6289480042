#pragma once
// Values of a TOML table by key, checked. Sees toml++: for .cpp files.

#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace tide {

/// Reads keys of one table, with messages that say where: file, line, key and what was expected. What is not
/// there leaves the value as it is. Every function throws InputError.
class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

  void read(const char* key, std::string& value) const {
    if (const auto* node = table_.get(key)) value = text(*node, key);
  }
  /// A text that may be written as a number.
  void read_scalar(const char* key, std::string& value) const {
    if (const auto* node = table_.get(key)) value = scalar(*node, key);
  }
  void read(const char* key, bool& value) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return;
    if (!node->is_boolean()) fail(*node, key, "true or false");
    value = node->as_boolean()->get();
  }
  void read(const char* key, std::int64_t& value, std::int64_t low, std::int64_t high) const {
    if (const auto* node = table_.get(key)) value = integer(*node, key, low, high);
  }
  void read(const char* key, std::vector<std::string>& values) const {
    read_list(key, values, [&](const toml::node& node) { return text(node, key); });
  }
  void read(const char* key, std::vector<std::int64_t>& values, std::int64_t low, std::int64_t high) const {
    read_list(key, values, [&](const toml::node& node) { return integer(node, key, low, high); });
  }
  void read(const char* key, std::vector<double>& values, double low, double high) const {
    read_list(key, values, [&](const toml::node& node) {
      const auto number = node.value<double>();
      if (!number || !(*number >= low && *number <= high))
        fail(node, key, fmt::format("a number in {}..{}", low, high));
      return *number;
    });
  }
  /// Refuses a key that is not `known`, naming the nearest.
  void check_keys(const std::vector<std::string>& known) const {
    for (const auto& [key, node] : table_) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      fail_input("{}: key '{}' is unknown; the nearest is '{}'", at(node), key.str(),
                 nearest(key.str(), known));
    }
  }
  /// A value of a grid's field as it stands in a spec.
  std::string scalar(const toml::node& node, std::string_view key) const {
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    return text(node, key);
  }
  [[noreturn]] void fail(const toml::node& node, std::string_view key, std::string_view expected) const {
    fail_input("{}: key '{}': expected {}", at(node), key, expected);
  }
  /// File and line of a node; what came from a setting has no line.
  std::string at(const toml::node& node) const {
    const auto line = node.source().begin.line;
    return line > 0 ? fmt::format("{}, line {}", where_, line) : where_;
  }

 private:
  std::string text(const toml::node& node, std::string_view key) const {
    if (!node.is_string()) fail(node, key, "a text in quotes");
    return node.as_string()->get();
  }
  std::int64_t integer(const toml::node& node, const char* key, std::int64_t low, std::int64_t high) const {
    if (!node.is_integer() || node.as_integer()->get() < low || node.as_integer()->get() > high) {
      fail(node, key, fmt::format("a whole number in {}..{}", low, high));
    }
    return node.as_integer()->get();
  }
  template <typename T, typename Item>
  void read_list(const char* key, std::vector<T>& values, const Item& item) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return;
    values.clear();
    if (const auto* list = node->as_array()) {
      for (const toml::node& entry : *list) values.push_back(item(entry));
    } else {
      values.push_back(item(*node));
    }
    if (values.empty()) fail(*node, key, "at least one value");
  }

  const toml::table& table_;
  std::string where_;
};

}  // namespace tide
