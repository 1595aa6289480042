#pragma once
// How many positions a set holds.

#include <cstdint>
#include <string>

namespace tide {

class PolicySpec;
struct ModelConfig;

/// A share of kv_len, and no fewer positions than `least`.
struct BudgetShare {
  double percent;
  std::int64_t least;
};

/// `64` positions, or `10%` of kv_len; clamped to kv_len at each step.
class Budget {
 public:
  Budget() = default;
  /// Takes key `budget`. Throws InputError: not a number, above the model's positions, or (absolute)
  /// below `forced` + 1.
  /// `paper`: what `budget=paper` means; null: nothing.
  Budget(PolicySpec& spec, const std::string& fallback, const ModelConfig& config, int forced,
         const BudgetShare* paper = nullptr);

  /// Positions at this length: at least 1, at most kv_len.
  std::int64_t at(std::int64_t kv_len) const;
  /// As the canonical spec has it: "64", "10%".
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::int64_t positions_ = 0;
  double percent_ = 0;  // of kv_len, positions_ at least
};

}  // namespace tide
