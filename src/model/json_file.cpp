#include "model/json_file.h"

#include <cmath>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "model/lfs_pointer.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"

namespace tide {

namespace {

using nlohmann::json;

/// Values are copied and shown by recursion.
constexpr int kMaxDepth = 64;

/// Follows the parser: refuses repeated keys and deep nesting, and knows how far it came.
class KeyWatch {
 public:
  explicit KeyWatch(const std::string& source) : source_(source) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    if (depth > kMaxDepth) fail_input("{}: nested deeper than {}{}", source_, kMaxDepth, after());
    if (event == json::parse_event_t::object_start) open_.emplace_back();
    if (event == json::parse_event_t::object_end) open_.pop_back();
    if (event == json::parse_event_t::key) {
      last_ = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(last_).second) {
        fail_input("{}: the key '{}' stands twice in one object", source_, printable(last_));
      }
    }
    return true;
  }

  /// Where in the document something went wrong.
  std::string after() const {
    return last_.empty() ? "" : fmt::format(" after the key '{}'", printable(last_));
  }

 private:
  const std::string& source_;
  std::vector<std::set<std::string>> open_;  ///< keys of the objects that are open
  std::string last_;
};

std::string shown(const json& value) { return printable(value.dump()); }

}  // namespace

json parse_json(std::string_view text, const std::string& source) {
  if (const std::size_t valid = valid_prefix(text); valid != text.size()) {
    fail_input("{}: byte {}: not UTF-8", source, valid);
  }
  KeyWatch watch(source);
  try {
    return json::parse(text, [&](int depth, json::parse_event_t event, const json& parsed) {
      return watch(depth, event, parsed);
    });
  } catch (const json::parse_error& error) {
    fail_input("{}: byte {}: not JSON{}", source, error.byte == 0 ? 0 : error.byte - 1, watch.after());
  } catch (const json::exception&) {
    fail_input("{}: a number{} is beyond what JSON's numbers hold here", source, watch.after());
  }
}

JsonFields::JsonFields(std::string source, json object)
    : source_(std::move(source)), object_(std::move(object)) {
  if (!object_.is_object()) fail_input("{}: an object expected, found {}", source_, shown(object_));
}

JsonFields::JsonFields(const std::filesystem::path& file) : source_(file.string()) {
  const std::string text = read_text(file);
  refuse_lfs_pointer(text, source_);
  object_ = parse_json(text, source_);
  if (!object_.is_object()) fail_input("{}: an object expected, found {}", source_, shown(object_));
}

bool JsonFields::has(const std::string& key) const {
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

const json& JsonFields::value(const std::string& key) const {
  if (!has(key)) fail_input("{}: {} is missing", source_, key);
  return *object_.find(key);
}

void JsonFields::fail(const std::string& key, std::string_view expected) const {
  fail_input("{}: {} is {}, expected {}", source_, key, shown(value(key)), expected);
}

int JsonFields::size(const std::string& key) const {
  const json& found = value(key);
  if (!found.is_number_unsigned() || found.get<std::uint64_t>() < 1 || found.get<std::uint64_t>() > 1 << 30) {
    fail(key, "a whole number from 1 to 2^30");
  }
  return found.get<int>();
}

double JsonFields::positive(const std::string& key) const {
  const json& found = value(key);
  if (!found.is_number() || !std::isfinite(found.get<double>()) || found.get<double>() <= 0) {
    fail(key, "a number above 0");
  }
  return found.get<double>();
}

const std::string& JsonFields::text(const std::string& key) const {
  if (!value(key).is_string()) fail(key, "a string");
  return value(key).get_ref<const std::string&>();
}

JsonFields JsonFields::object(const std::string& key) const {
  if (!value(key).is_object()) fail(key, "an object");
  return {fmt::format("{}: {}", source_, key), value(key)};
}

const json& JsonFields::array(const std::string& key) const {
  if (!value(key).is_array()) fail(key, "an array");
  return value(key);
}

bool JsonFields::boolean(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!value(key).is_boolean()) fail(key, "true or false");
  return value(key).get<bool>();
}

}  // namespace tide
