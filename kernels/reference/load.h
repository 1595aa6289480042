#pragma once
// How the references read and write the element types: one value at a time.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "kernels/types.h"

namespace tide::kernels::reference {

/// Element `i` of an array of `dtype`.
inline float load(const void* data, std::int64_t i, DType dtype) {
  if (dtype == DType::f32) return static_cast<const float*>(data)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[i];
  return dtype == DType::f16 ? half_to_float(bits) : bfloat16_to_float(bits);
}

/// Writes element `i`, rounded to nearest even.
inline void store(void* data, std::int64_t i, DType dtype, float value) {
  if (dtype == DType::f32) {
    static_cast<float*>(data)[i] = value;
  } else {
    static_cast<std::uint16_t*>(data)[i] =
        dtype == DType::f16 ? float_to_half(value) : float_to_bfloat16(value);
  }
}

/// Element `i` of the K (or V) row of KV head `g` at `position`, which may lie in either segment.
inline float load_row(const KvView& kv, bool value, std::int64_t g, std::int64_t position, std::int64_t i) {
  const bool second = kv.segment[1].count > 0 && position >= kv.segment[1].begin;
  const KvSegment& segment = kv.segment[second ? 1 : 0];
  const std::int64_t row = g * segment.head_stride + (position - segment.begin) * kv.head_dim;
  return load(value ? segment.v : segment.k, row + i, kv.dtype);
}

}  // namespace tide::kernels::reference
