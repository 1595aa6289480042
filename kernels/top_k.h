#pragma once
// Exact, deterministic top-k: by falling value, the smaller index first in ties; NaN is never chosen;
// -0 equals +0. The same answer on every backend, so that recordings repeat.

#include <cstdint>

namespace tide::kernels {

/// One selection. Writes min(k, number of values that are not NaN) indices and values.
struct TopK {
  const float* value;   ///< [n]
  std::int64_t n;       ///< <= 2^31 - 1
  std::int64_t k;       ///< >= 0
  std::int32_t* index;  ///< [k]: indices into value, ordered as above
  float* top_value;     ///< [k] or null
};

/// Sums over a set's heads of post-softmax probabilities: pooled[i] = sum_h exp(score[h, i] -
/// log_sum_exp[h]).
struct PooledProb {
  const float* score;        ///< [n_heads, stride]
  const float* log_sum_exp;  ///< [n_heads]
  float* pooled;             ///< [count]
  std::int32_t n_heads;
  std::int64_t stride;
  std::int64_t count;
};

namespace reference {
/// Returns how many were written.
std::int64_t top_k(const TopK& args);
void pooled_prob(const PooledProb& args);
}  // namespace reference

namespace cpu {
std::int64_t top_k(const TopK& args);
void pooled_prob(const PooledProb& args);
}  // namespace cpu

}  // namespace tide::kernels
