// Dequantisation of stored weights. The products and sums are rounded one by one, as numpy does in
// the gguf package: this file is compiled without fused multiply-add.

#include <cstring>

#include "base/error.h"
#include "base/float16.h"
#include "model/dequantise_k.h"
#include "model/gguf_types.h"
#include "model/half_bits.h"
#include "model/tensor_source.h"

namespace tide {

namespace {

constexpr int kBlock = 32;

// One function a format: `blocks` holds `count` weights, a whole number of blocks.

void dequantise_f32(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  std::memcpy(out, blocks, static_cast<std::size_t>(count) * sizeof(float));
}

void dequantise_f16(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = load_half(blocks + 2 * i);
}

void dequantise_bf16(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, blocks + 2 * i, sizeof(bits));
    out[i] = bfloat16_to_float(bits);
  }
}

/// [scale f16][32 × int8]
void dequantise_q8_0(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 34, out += kBlock) {
    const float scale = load_half(blocks);
    for (int j = 0; j < kBlock; ++j)
      out[j] = scale * static_cast<float>(static_cast<std::int8_t>(blocks[2 + j]));
  }
}

/// [scale f16][16 bytes: weight j in the low half of byte j, weight j + 16 in the high half]
void dequantise_q4_0(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 18, out += kBlock) {
    const float scale = load_half(blocks);
    for (int j = 0; j < kBlock / 2; ++j) {
      const int pair = static_cast<int>(blocks[2 + j]);
      out[j] = scale * static_cast<float>((pair & 15) - 8);
      out[j + kBlock / 2] = scale * static_cast<float>((pair >> 4) - 8);
    }
  }
}

/// [scale f16][minimum f16][16 bytes as in Q4_0]
void dequantise_q4_1(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 20, out += kBlock) {
    const float scale = load_half(blocks);
    const float minimum = load_half(blocks + 2);
    for (int j = 0; j < kBlock / 2; ++j) {
      const int pair = static_cast<int>(blocks[4 + j]);
      out[j] = scale * static_cast<float>(pair & 15) + minimum;
      out[j + kBlock / 2] = scale * static_cast<float>(pair >> 4) + minimum;
    }
  }
}

/// Weight j of a Q5 block: its four lower bits lie as in Q4_0, its fifth is bit j of `fifth`.
struct FifthBits {
  explicit FifthBits(const std::byte* bytes) { std::memcpy(&fifth, bytes, sizeof(fifth)); }
  int of(int j) const { return static_cast<int>(fifth >> j & 1) << 4; }
  std::uint32_t fifth;
};

/// [scale f16][fifth bits u32][16 bytes as in Q4_0]
void dequantise_q5_0(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 22, out += kBlock) {
    const float scale = load_half(blocks);
    const FifthBits fifth(blocks + 2);
    for (int j = 0; j < kBlock / 2; ++j) {
      const int pair = static_cast<int>(blocks[6 + j]);
      out[j] = scale * static_cast<float>(((pair & 15) | fifth.of(j)) - 16);
      out[j + kBlock / 2] = scale * static_cast<float>((pair >> 4 | fifth.of(j + kBlock / 2)) - 16);
    }
  }
}

/// [scale f16][minimum f16][fifth bits u32][16 bytes as in Q4_0]
void dequantise_q5_1(const std::byte* blocks, std::int64_t count, float* __restrict out) {
  for (std::int64_t i = 0; i < count; i += kBlock, blocks += 24, out += kBlock) {
    const float scale = load_half(blocks);
    const float minimum = load_half(blocks + 2);
    const FifthBits fifth(blocks + 4);
    for (int j = 0; j < kBlock / 2; ++j) {
      const int pair = static_cast<int>(blocks[8 + j]);
      out[j] = scale * static_cast<float>((pair & 15) | fifth.of(j)) + minimum;
      out[j + kBlock / 2] = scale * static_cast<float>(pair >> 4 | fifth.of(j + kBlock / 2)) + minimum;
    }
  }
}

}  // namespace

void dequantise_rows(const StoredTensor& tensor, std::int64_t first, std::int64_t count, float* out) {
  const GgufLayout& layout = *gguf_layout(static_cast<std::uint32_t>(tensor.type));
  const std::int64_t columns = tensor.shape.back();
  TIDE_ASSERT(first >= 0 && count >= 0 && first + count <= tensor.element_count() / columns);
  const std::int64_t row_bytes = columns / layout.block_elements * layout.block_bytes;
  const std::byte* blocks = tensor.bytes.data() + first * row_bytes;
  const std::int64_t weights = count * columns;
  switch (tensor.type) {
    case TensorType::f32:
      return dequantise_f32(blocks, weights, out);
    case TensorType::f16:
      return dequantise_f16(blocks, weights, out);
    case TensorType::bf16:
      return dequantise_bf16(blocks, weights, out);
    case TensorType::q8_0:
      return dequantise_q8_0(blocks, weights, out);
    case TensorType::q4_0:
      return dequantise_q4_0(blocks, weights, out);
    case TensorType::q4_1:
      return dequantise_q4_1(blocks, weights, out);
    case TensorType::q5_0:
      return dequantise_q5_0(blocks, weights, out);
    case TensorType::q5_1:
      return dequantise_q5_1(blocks, weights, out);
    case TensorType::q4_k:
      return dequantise_q4_k(blocks, weights, out);
    case TensorType::q5_k:
      return dequantise_q5_k(blocks, weights, out);
    case TensorType::q6_k:
      return dequantise_q6_k(blocks, weights, out);
  }
}

}  // namespace tide
