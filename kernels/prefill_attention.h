#pragma once
// Causal attention of a run of prompt positions over the cache, blocked so that scores never leave the
// core's cache (the online softmax of FlashAttention, arXiv 2205.14135, section 3.1).

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// Row r stands at position first + r and reads positions [0, first + r] of its KV head, with a window the
/// last `window` of them alone. Memory beyond the arguments does not grow with the length. A row's bits do
/// not depend on the rows beside it, on where a chunk begins, nor on the thread count.
struct PrefillAttention {
  const float* query;         ///< row r, head h: query + r * query_stride + h * head_dim; rotated
  std::int64_t query_stride;  ///< >= n_heads * head_dim
  KvView kv;                  ///< kv_len >= first + n_rows
  std::int64_t first;
  std::int64_t n_rows;
  std::int32_t n_heads;
  float* out;               ///< [n_rows, n_heads * head_dim]
  bool low_precision;       ///< products may round their factors to bf16 (sums stay fp32)
  std::int64_t window = 0;  ///< positions a row reads at most; 0: no bound
};

namespace reference {
void prefill_attention(const PrefillAttention& args, ThreadPool& pool);
}
namespace cpu {
void prefill_attention(const PrefillAttention& args, ThreadPool& pool);

/// True on processors that multiply and add pairs of bf16 (AVX512-BF16), where `low_precision` pays and
/// LibTorch's bf16 GEMM does.
bool has_bf16_dot_products();
}  // namespace cpu

}  // namespace tide::kernels
