// Compiled without fused multiply-add, like dequantise.cpp.

#include "model/dequantise_k.h"

#include "model/half_bits.h"

namespace tide {

namespace {

constexpr int kBlock = 256;
constexpr int kGroup = 32;  ///< weights that share a scale in Q4_K and Q5_K

int number(std::byte byte) { return static_cast<int>(byte); }
float signed_number(std::byte byte) { return static_cast<float>(static_cast<std::int8_t>(byte)); }

/// Scale and minimum of group 0 to 7, 6 bits each, from the 12 bytes that hold all of them: bytes 0-3 are the
/// scales of groups 0-3 and 4-7 their minima, whose two upper bits go to groups 4-7, which have their four
/// lower ones in bytes 8-11.
struct GroupScale {
  GroupScale(const std::byte* packed, int group) {
    if (group < 4) {
      scale = static_cast<float>(number(packed[group]) & 63);
      minimum = static_cast<float>(number(packed[group + 4]) & 63);
    } else {
      const int low = number(packed[group + 4]);
      scale = static_cast<float>((low & 15) | (number(packed[group - 4]) >> 6 << 4));
      minimum = static_cast<float>((low >> 4) | (number(packed[group]) >> 6 << 4));
    }
  }
  float scale, minimum;
};

}  // namespace

/// [scale f16][minimum f16][12 bytes of GroupScale][128 bytes: of each 32, the low halves are one group, the
/// high halves the next]
void dequantise_q4_k(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 144) {
    const float scale = load_half(blocks), minimum = load_half(blocks + 2);
    for (int group = 0; group < 8; ++group, out += kGroup) {
      const GroupScale of(blocks + 4, group);
      const float step = scale * of.scale, offset = minimum * of.minimum;
      const std::byte* halves = blocks + 16 + group / 2 * kGroup;
      const int shift = group % 2 * 4;
      for (int j = 0; j < kGroup; ++j) {
        out[j] = step * static_cast<float>((number(halves[j]) >> shift) & 15) - offset;
      }
    }
  }
}

/// [scale f16][minimum f16][12 bytes of GroupScale][32 bytes: bit g of byte j is the fifth bit of weight j of
/// group g][128 bytes as in Q4_K]
void dequantise_q5_k(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 176) {
    const float scale = load_half(blocks), minimum = load_half(blocks + 2);
    const std::byte* fifth = blocks + 16;
    for (int group = 0; group < 8; ++group, out += kGroup) {
      const GroupScale of(blocks + 4, group);
      const float step = scale * of.scale, offset = minimum * of.minimum;
      const std::byte* halves = blocks + 48 + group / 2 * kGroup;
      const int shift = group % 2 * 4;
      for (int j = 0; j < kGroup; ++j) {
        const int low = (number(halves[j]) >> shift) & 15, high = (number(fifth[j]) >> group) & 1;
        out[j] = step * static_cast<float>(low | high << 4) - offset;
      }
    }
  }
}

/// [128 bytes of lower halves][64 bytes of upper pairs of bits][16 × int8: the scale of 16 weights each]
/// [scale f16]. A block is two times 128 weights, each four groups of 32: weight j of group g has its lower
/// half in byte 32 (g % 2) + j, low half for groups 0 and 1, and bits 2g and 2g + 1 of byte j.
void dequantise_q6_k(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 210) {
    const float scale = load_half(blocks + 208);
    for (int group = 0; group < 8; ++group, out += kGroup) {
      const int half = group / 4, in_half = group % 4;
      const std::byte* lower = blocks + 64 * half + kGroup * (in_half % 2);
      const std::byte* upper = blocks + 128 + 32 * half;
      const std::byte* scales = blocks + 192 + 2 * group;
      const int shift = in_half / 2 * 4;
      const float steps[2] = {scale * signed_number(scales[0]), scale * signed_number(scales[1])};
      for (int j = 0; j < kGroup; ++j) {
        const int low = (number(lower[j]) >> shift) & 15, high = (number(upper[j]) >> 2 * in_half) & 3;
        out[j] = steps[j / 16] * static_cast<float>((low | high << 4) - 32);
      }
    }
  }
}

}  // namespace tide
