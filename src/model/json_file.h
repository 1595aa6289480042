#pragma once
// JSON that came with a checkpoint. Nothing in it is trusted.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace tide {

/// The document in `text`. Throws InputError of the form "SOURCE: byte OFFSET: …": not UTF-8, not JSON (NaN
/// and numbers beyond a double included), a key twice in one object, values nested deeper than 64.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// The members of one object, by the names that messages call them. A member that is null counts as absent.
class JsonFields {
 public:
  /// `source`: "FILE", or "FILE: KEY" for an object within. Throws InputError when `object` is none.
  JsonFields(std::string source, nlohmann::json object);
  /// A whole file. Throws InputError.
  explicit JsonFields(const std::filesystem::path& file);

  const std::string& source() const { return source_; }
  const nlohmann::json& members() const { return object_; }
  bool has(const std::string& key) const;

  // Required members. Each throws InputError naming the source, the key, its value and what is expected.
  const nlohmann::json& value(const std::string& key) const;
  /// A whole number from 1 to 2^30.
  int size(const std::string& key) const;
  /// A finite number above 0.
  double positive(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  JsonFields object(const std::string& key) const;
  const nlohmann::json& array(const std::string& key) const;

  // Optional ones.
  bool boolean(const std::string& key, bool fallback) const;

  /// Throws InputError: "SOURCE: KEY is VALUE, expected EXPECTED".
  [[noreturn]] void fail(const std::string& key, std::string_view expected) const;

 private:
  std::string source_;
  nlohmann::json object_;
};

}  // namespace tide
