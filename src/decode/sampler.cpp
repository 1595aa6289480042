#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "decode/decoder.h"

namespace tide {

void validate(const SamplingOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0) {
    fail_input("temperature: {} is not a number at or above 0", options.temperature);
  }
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail_input("top-p: {} is not above 0 and at most 1", options.top_p);
  if (options.top_k < 0) fail_input("top-k: {} is negative", options.top_k);
}

Sampler::Sampler(const SamplingOptions& options, std::uint64_t seed) : options_(options), random_(seed) {
  validate(options);
}

std::int32_t Sampler::next(std::span<const float> logits) {
  if (options_.temperature == 0) return argmax(logits);
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::size_t kept =
      options_.top_k > 0 ? std::min<std::size_t>(options_.top_k, order_.size()) : order_.size();
  weight_.resize(kept);
  double total = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    weight_[i] = std::exp((logits[order_[i]] - logits[order_[0]]) / options_.temperature);
    total += weight_[i];
  }
  double reached = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    reached += weight_[i];
    if (reached >= options_.top_p * total) kept = i + 1;  // ends the loop, this token inside
  }
  double point = std::uniform_real_distribution<double>(0, reached)(random_);
  for (std::size_t i = 0; i < kept; ++i) {
    point -= weight_[i];
    if (point < 0) return order_[i];
  }
  return order_[kept - 1];
}

}  // namespace tide
