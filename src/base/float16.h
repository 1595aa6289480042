#pragma once
// Conversions of 16-bit floats, round to nearest even. Bit patterns travel as uint16_t.

#include <bit>
#include <cstdint>

namespace tide {

/// IEEE binary16 -> float, exact.
inline float half_to_float(std::uint16_t half) { return static_cast<float>(std::bit_cast<_Float16>(half)); }

/// float -> IEEE binary16, round to nearest even, overflow to infinity.
inline std::uint16_t float_to_half(float value) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
}

/// bfloat16 -> float, exact.
inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// float -> bfloat16, round to nearest even; NaN stays NaN.
inline std::uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace tide
