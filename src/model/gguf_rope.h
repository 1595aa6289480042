#pragma once
// Rotary settings of a GGUF file.

#include "model/config.h"
#include "model/gguf_fields.h"

namespace tide {

/// The tensor in which converters store llama3's scaling: [head_dim / 2] divisors of the frequencies.
inline constexpr const char* kRotaryDivisors = "rope_freqs.weight";

/// Sets rope_theta, rope_scaling and what they make of max_positions (as read_hf_rope does) from
/// ARCHITECTURE.rope.* and the tensor rope_freqs.weight. yarn's attention factor is the file's attn_factor, 1
/// unless given, times 0.1 ln(factor) + 1. Throws InputError naming the key or tensor: another type, a number
/// that is missing or out of range, settings of yarn that have no twin here.
void read_gguf_rope(const GgufFields& fields, ModelConfig& config);

}  // namespace tide
