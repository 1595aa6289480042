#include "policy/budget.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "model/config.h"
#include "policy/spec.h"

namespace tide {

Budget::Budget(PolicySpec& spec, const std::string& fallback, const ModelConfig& config, int forced,
               const BudgetShare* paper) {
  text_ = spec.take("budget", fallback);
  const std::string what = spec.where() + ": budget";
  if (paper && text_ == "paper") {
    percent_ = paper->percent;
    positions_ = paper->least;
    return;
  }
  if (text_.ends_with('%')) {
    const double percent = parse_number(text_.substr(0, text_.size() - 1), what);
    if (percent <= 0 || percent > 100)
      fail_input("{} is {}, expected above 0% and at most 100%", what, text_);
    percent_ = percent;
    spec.resolve("budget", text_ = fmt::format("{}%", percent));
    return;
  }
  positions_ = parse_integer(text_, what);
  spec.resolve("budget", text_ = std::to_string(positions_));
  if (positions_ > config.max_positions) {
    fail_input("{} is {}, the model has {} positions", what, positions_, config.max_positions);
  }
  if (positions_ < forced + 1) {
    fail_input("{} is {}, expected at least {} (sinks + recent + 1)", what, positions_, forced + 1);
  }
}

std::int64_t Budget::at(std::int64_t kv_len) const {
  // Multiplied before it is divided: 0.29 * 100 would be one short of 29.
  const auto share = static_cast<std::int64_t>(std::floor(percent_ * static_cast<double>(kv_len) / 100));
  return std::clamp<std::int64_t>(std::max(share, positions_), 1, kv_len);
}

}  // namespace tide
