#pragma once
// The vector core of decode attention: one run of positions, read by neighbouring query heads.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels::cpu {

/// Query heads of one KV head that read the same positions. What is written for one head does not
/// depend on the heads beside it, nor on how the cache is cut into segments.
struct AttentionSpan {
  const float* query;  ///< [n_heads, head_dim]
  int n_heads;
  const KvView* kv;
  int kv_head;
  const std::int32_t* position;  ///< [count], or null: begin, begin + 1, …
  std::int64_t begin;
  std::int64_t count;         ///< >= 1
  float* score;               ///< [n_heads, score_stride], the span's first at 0; null: not wanted
  std::int64_t score_stride;  ///< >= count
  float* peak;                ///< [n_heads]: largest score
  float* sum;                 ///< [n_heads]: sum of exp(score - peak)
  float* out;                 ///< [n_heads, head_dim]: sum of exp(score - peak) v; null: scores only
};

void attend_span(const AttentionSpan& span);

}  // namespace tide::kernels::cpu
