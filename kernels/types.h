#pragma once
// What every kernel's contract is written in: element types, and views of a KV cache by raw pointer.

#include <cstddef>
#include <cstdint>

namespace tide::kernels {

enum class DType : std::uint8_t { f32, f16, bf16 };

constexpr std::size_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

/// 8-bit weights stand in blocks of 32 that share a binary16 scale: weight = scale * value. Rows are whole
/// blocks. The values are GGUF's Q8_0; here values and scales are two arrays.
constexpr std::int64_t kQ8Block = 32;

/// One contiguous run of cached positions of one layer. Row of KV head g, position p:
/// k + ((g * head_stride) + (p - begin) * head_dim) elements; v alike.
struct KvSegment {
  const void* k;             ///< [n_kv_heads, capacity, head_dim], rotated keys
  const void* v;             ///< [n_kv_heads, capacity, head_dim]
  std::int64_t head_stride;  ///< elements between KV heads: capacity * head_dim
  std::int64_t begin;        ///< first position
  std::int64_t count;        ///< positions in use
};

/// The cache of one sequence at one layer: a prompt's shared segment, then the sequence's own.
/// Segments are in order and leave no hole; an unused one has count 0.
struct KvView {
  DType dtype;
  std::int32_t n_kv_heads;
  std::int32_t head_dim;
  KvSegment segment[2];

  std::int64_t kv_len() const { return segment[0].count + segment[1].count; }
};

}  // namespace tide::kernels
