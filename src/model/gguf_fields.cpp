#include "model/gguf_fields.h"

#include <cmath>
#include <utility>

#include "base/error.h"

namespace tide {

GgufFields::GgufFields(const GgufFile& file, std::string architecture)
    : file_(file), architecture_(std::move(architecture)) {}

int GgufFields::size(const std::string& name) const {
  const std::int64_t value = file_.integer(key(name));
  if (value < 0 || value > (1 << 30)) {
    fail_input("{}: {} is {}, expected 0 to 2^30", file_.path().string(), key(name), value);
  }
  return static_cast<int>(value);
}

double GgufFields::positive(const std::string& name) const {
  const double value = number(name);
  if (!std::isfinite(value) || value <= 0) {
    fail_input("{}: {} is {}, expected a number above 0", file_.path().string(), key(name), value);
  }
  return value;
}

void GgufFields::fail(const std::string& name, const std::string& value, const std::string& supported) const {
  fail_input("{}: {} is {}, supported is {}", file_.path().string(), key(name), value, supported);
}

}  // namespace tide
