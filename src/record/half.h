#pragma once
// Rows of floats to and from IEEE binary16, round to nearest even, eight at a time where the CPU can.

#include <cstdint>

namespace tide::record {

/// half[i] = value[i] rounded, i < n.
void to_half(const float* value, std::int64_t n, std::uint16_t* half);

/// value[i] = half[i], exact, i < n.
void from_half(const std::uint16_t* half, std::int64_t n, float* value);

}  // namespace tide::record
