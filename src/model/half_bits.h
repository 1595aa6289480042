#pragma once
// Half-precision numbers inside the blocks of stored weights.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tide {

/// The binary16 number at `bytes`, exactly.
inline float load_half(const std::byte* bytes) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  // Arithmetic on the bits rather than a conversion: the baseline instruction set has none, and the
  // library call in its place would cost more than the rest of a block.
  const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffu) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t normal = magnitude + (112u << 23);
  const std::uint32_t special = magnitude + (224u << 23);
  const float subnormal = std::bit_cast<float>((magnitude >> 13) | (126u << 23)) - 0.5f;
  std::uint32_t value = magnitude >= (31u << 23) ? special : normal;
  value = magnitude < (1u << 23) ? std::bit_cast<std::uint32_t>(subnormal) : value;
  return std::bit_cast<float>(value | sign);
}

}  // namespace tide
