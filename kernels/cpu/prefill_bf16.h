#pragma once
// Blocked causal attention with bf16 dot products (AVX512-BF16): Highway 1.0 has none. Twice the rate of
// fp32 products where the processor has them; factors are rounded to bf16, sums stay fp32.

#include <cstddef>

#include "kernels/prefill_attention.h"

namespace tide::kernels::cpu {

/// True when this processor has the instructions and the cache and head size suit them.
bool has_prefill_bf16(const PrefillAttention& args);

/// Rows [first_row, first_row + n_positions) of one KV head's group.
void prefill_bf16_task(const PrefillAttention& args, std::size_t kv_head, std::size_t first_row,
                       std::size_t n_positions);

}  // namespace tide::kernels::cpu
