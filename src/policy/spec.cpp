#include "policy/spec.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tide {

PolicySpec::PolicySpec(std::string_view text) {
  const auto colon = text.find(':');
  name_ = std::string(text.substr(0, colon));
  if (name_.empty()) fail_input("policy '{}': no name before ':'", text);
  if (colon == std::string_view::npos) return;
  for (const std::string& field : split(text.substr(colon + 1), ',')) {
    const auto equals = field.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == field.size()) {
      fail_input("policy {}: '{}' is not of the form key=value", name_, field);
    }
    if (!given_.emplace(field.substr(0, equals), field.substr(equals + 1)).second) {
      fail_input("policy {}: key '{}' is given twice", name_, field.substr(0, equals));
    }
  }
}

std::string PolicySpec::take(const std::string& key, const std::string& fallback) {
  known_.push_back(key);
  const auto given = given_.find(key);
  return taken_[key] = given == given_.end() ? fallback : given->second;
}

int PolicySpec::take_int(const std::string& key, int fallback, int low, int high) {
  const long long value = parse_integer(take(key, std::to_string(fallback)), where() + ": " + key);
  if (value < low || value > high) {
    fail_input("{}: {} is {}, expected {} to {}", where(), key, value, low, high);
  }
  resolve(key, std::to_string(value));
  return static_cast<int>(value);
}

std::string PolicySpec::take_choice(const std::string& key, const std::string& fallback,
                                    const std::vector<std::string>& choices) {
  const std::string value = take(key, fallback);
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    fail_input("{}: {} '{}' is unknown; the nearest is '{}'", where(), key, value, nearest(value, choices));
  }
  return value;
}

std::string PolicySpec::finish() const {
  for (const auto& [key, value] : given_) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    if (known_.empty()) fail_input("{}: key '{}' is unknown; it takes none", where(), key);
    fail_input("{}: key '{}' is unknown; the nearest is '{}'", where(), key, nearest(key, known_));
  }
  std::string text = name_;
  char separator = ':';
  for (const auto& [key, value] : taken_) {
    text += separator + key + "=" + value;
    separator = ',';
  }
  return text;
}

std::vector<int> parse_layers(std::string_view text, int n_layers, const std::string& what) {
  std::vector<int> layers;
  if (text == "none") return layers;
  for (const std::int64_t layer : parse_index_list(text, n_layers, what, "layer")) {
    layers.push_back(static_cast<int>(layer));
  }
  return layers;
}

std::string format_layers(const std::vector<int>& layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t last = i;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    if (!text.empty()) text += '+';
    text += std::to_string(layers[i]);
    if (last > i) text += '-' + std::to_string(layers[last]);
    i = last + 1;
  }
  return text.empty() ? "none" : text;
}

}  // namespace tide
