// The products are rounded one by one, as numpy does in the gguf package: this file is compiled without
// fused multiply-add.

#include "model/quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/float16.h"

namespace tide {

namespace {

constexpr int kBlock = 32;
constexpr std::uint16_t kHalfInfinity = 0x7c00;

/// Compared by their bits, which order alike and put infinities and NaNs on top.
float largest_magnitude(const float* weights) {
  std::int32_t largest = 0;
  for (int j = 0; j < kBlock; ++j) {
    largest = std::max(largest, std::bit_cast<std::int32_t>(weights[j]) & 0x7fffffff);
  }
  return std::bit_cast<float>(largest);
}

/// To nearest, halves away from zero: x + 0.5 cut off would round the largest number below a half up.
std::int8_t rounded(float x) {
  const auto whole = static_cast<std::int32_t>(x);
  const float rest = x - static_cast<float>(whole);
  return static_cast<std::int8_t>(whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0));
}

}  // namespace

bool quantise_q8_0(const float* weights, std::int64_t count, std::int8_t* values, std::uint16_t* scales) {
  for (std::int64_t i = 0; i < count; i += kBlock) {
    const float scale = largest_magnitude(weights + i) / 127;
    const std::uint16_t half = float_to_half(scale);
    if ((half & 0x7fffu) >= kHalfInfinity) return false;
    scales[i / kBlock] = half;
    // Next to nothing has no finite inverse, nor a scale other than 0 in binary16.
    const float inverse = scale < 1e-30f ? 0.0f : 1 / scale;
    for (int j = 0; j < kBlock; ++j) values[i + j] = rounded(weights[i + j] * inverse);
  }
  return true;
}

}  // namespace tide
