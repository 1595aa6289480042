#pragma once
// Blocked causal attention with bf16 dot products (AVX512-BF16): Highway 1.0 has none. Twice the rate of
// fp32 products where the processor has them; factors are rounded to bf16, sums stay fp32.

#include "kernels/cpu/prefill_rows.h"
#include "kernels/prefill_attention.h"

namespace tide::kernels::cpu {

/// True when this processor has the instructions and the cache and head size suit them.
bool has_prefill_bf16(const PrefillAttention& args);

void prefill_bf16_task(const PrefillRows& rows);

}  // namespace tide::kernels::cpu
