#pragma once
// The next token from logits.

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace tide {

/// Greedy unless temperature is above 0.
struct SamplingOptions {
  double temperature = 0;  ///< 0: greedy
  double top_p = 1;        ///< keep the smallest set of tokens whose probabilities reach this
  int top_k = 0;           ///< keep this many; 0: all
};

/// Throws InputError naming the option that is out of range.
void validate(const SamplingOptions& options);

class Sampler {
 public:
  Sampler(const SamplingOptions& options, std::uint64_t seed);
  /// Greedy: the largest logit, the smaller id in ties.
  std::int32_t next(std::span<const float> logits);

 private:
  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<std::int32_t> order_;
  std::vector<double> weight_;
};

}  // namespace tide
