#pragma once
// Dequantisation of GGUF's K formats: blocks of 256 weights, whose groups have scales of their own.

#include <cstddef>
#include <cstdint>

namespace tide {

// `blocks` holds `count` weights, a whole number of blocks. out: [count]. Bit for bit what the gguf package
// gives.
void dequantise_q4_k(const std::byte* blocks, std::int64_t count, float* out);
void dequantise_q5_k(const std::byte* blocks, std::int64_t count, float* out);
void dequantise_q6_k(const std::byte* blocks, std::int64_t count, float* out);

}  // namespace tide
