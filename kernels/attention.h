#pragma once
// Decode attention: one query row a sequence, many sequences at once.
//
// Determinism: the arithmetic of one (row, KV head) depends on its own inputs only, never on the
// number of rows, of threads, or on whether `score` or `prob` is asked for. The KV length is cut
// into splits whose bounds depend on kv_len alone, and splits are merged in order.

#include <cstdint>
#include <span>

#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// Full attention of one row: every query head reads every position of its KV head.
/// Query head h belongs to KV head h / (n_heads / n_kv_heads).
struct FullAttentionRow {
  const float* query;  ///< [n_heads, head_dim], rotated
  KvView kv;
  float* score;               ///< [n_heads, score_stride]: scaled dot products; null: not wanted
  std::int64_t score_stride;  ///< >= kv_len
  float* log_sum_exp;         ///< [n_heads]: natural log of the sum of exp(score)
  float* out;                 ///< [n_heads, head_dim]
};

/// Gather attention of one row: query head h reads positions[set_of_head[h], 0 .. count[set]).
/// Positions are distinct, in any order, and lie in [0, kv_len).
struct GatherAttentionRow {
  const float* query;  ///< [n_heads, head_dim], rotated
  KvView kv;
  const std::int32_t* position;     ///< [n_sets, width]
  const std::int32_t* count;        ///< [n_sets]: positions in use, 1 .. width
  const std::int32_t* set_of_head;  ///< [n_heads]
  std::int32_t width;
  float* score;  ///< [n_heads, score_stride]: scaled dot product of the i-th position read; null: not wanted
  std::int64_t score_stride;  ///< >= width
  float* log_sum_exp;         ///< [n_heads]
  float* out;                 ///< [n_heads, head_dim]
};

/// Scaled dot products only (no softmax, no V): what oracle and shadow recordings ask for.
struct ScoreRow {
  const float* query;  ///< [n_heads, head_dim], rotated
  KvView kv;
  float* score;               ///< [n_heads, score_stride]
  std::int64_t score_stride;  ///< >= kv_len
  float* log_sum_exp;         ///< [n_heads]
};

/// prob[h, i] = exp(score[h, i] - log_sum_exp[h]) for i < count; the sum over a head's i is 1 within
/// rounding.
struct ProbRow {
  const float* score;        ///< [n_heads, stride]
  const float* log_sum_exp;  ///< [n_heads]
  float* prob;               ///< [n_heads, stride]
  std::int32_t n_heads;
  std::int64_t stride;
  std::int64_t count;
};

namespace reference {
/// Plain loops in double. Single-threaded: the pool is ignored.
void full_attention(std::span<const FullAttentionRow> rows, int n_heads, ThreadPool& pool);
void gather_attention(std::span<const GatherAttentionRow> rows, int n_heads, ThreadPool& pool);
void attention_scores(std::span<const ScoreRow> rows, int n_heads, ThreadPool& pool);
void attention_probs(std::span<const ProbRow> rows, ThreadPool& pool);
}  // namespace reference

namespace cpu {
void full_attention(std::span<const FullAttentionRow> rows, int n_heads, ThreadPool& pool);
void gather_attention(std::span<const GatherAttentionRow> rows, int n_heads, ThreadPool& pool);
void attention_scores(std::span<const ScoreRow> rows, int n_heads, ThreadPool& pool);
void attention_probs(std::span<const ProbRow> rows, ThreadPool& pool);
}  // namespace cpu

}  // namespace tide::kernels
