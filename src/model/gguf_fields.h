#pragma once
// The metadata of one architecture: keys that begin with its name.

#include <string>

#include "model/gguf.h"

namespace tide {

/// Keys are given without "ARCHITECTURE."; messages name them whole.
class GgufFields {
 public:
  GgufFields(const GgufFile& file, std::string architecture);

  const GgufFile& file() const { return file_; }
  std::string key(const std::string& name) const { return architecture_ + "." + name; }
  bool has(const std::string& name) const { return file_.has(key(name)); }

  // Required keys, or optional ones with what holds without them. Each throws InputError naming the key.
  /// 0 to 2^30, so that a forged file cannot wrap around an int.
  int size(const std::string& name) const;
  int size(const std::string& name, int fallback) const { return has(name) ? size(name) : fallback; }
  double number(const std::string& name) const { return file_.number(key(name)); }
  double number(const std::string& name, double fallback) const {
    return has(name) ? number(name) : fallback;
  }
  /// A finite number above 0.
  double positive(const std::string& name) const;
  double positive(const std::string& name, double fallback) const {
    return has(name) ? positive(name) : fallback;
  }

  /// Throws InputError: "FILE: KEY is VALUE, supported is SUPPORTED".
  [[noreturn]] void fail(const std::string& name, const std::string& value,
                         const std::string& supported) const;

 private:
  const GgufFile& file_;
  std::string architecture_;
};

}  // namespace tide
