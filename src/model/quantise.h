#pragma once
// Rounding of fp32 weights to 8 bits.

#include <cstdint>

namespace tide {

/// Q8_0, bit for bit as the gguf package rounds: of each 32 weights, scale = max|w| / 127 and
/// value = w / scale, to nearest and halves away from zero; then the scale is rounded to binary16.
/// values: [count], scales: [count / 32] binary16; count is a multiple of 32. False when a scale is beyond
/// binary16: a weight of magnitude 8.3e6 or more, or one that is not finite.
bool quantise_q8_0(const float* weights, std::int64_t count, std::int8_t* values, std::uint16_t* scales);

}  // namespace tide
