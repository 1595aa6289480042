#pragma once
// The step's small operations: RMSNorm, rotary embedding, gated SiLU, cache rows, row look-up.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

/// y[r, i] = x[r, i] / sqrt(mean(x[r]^2) + epsilon) * weight[i]
struct RmsNorm {
  const float* x;       ///< [n_rows, n]
  const float* weight;  ///< [n]
  float* y;             ///< [n_rows, n]; may be x
  std::int64_t n_rows;
  std::int64_t n;
  float epsilon;
};

/// Rotates head vectors in place, half-split pairs (i, i + head_dim / 2), RoFormer (arXiv 2104.09864).
struct Rope {
  float* x;             ///< [n_heads, head_dim] of one row
  const float* cosine;  ///< [head_dim / 2] at the row's position
  const float* sine;    ///< [head_dim / 2]
  std::int32_t n_heads;
  std::int32_t head_dim;
};

/// y[r, i] = silu(gate_up[r, i]) * gate_up[r, n + i]
struct SiluMul {
  const float* gate_up;  ///< [n_rows, 2 n]
  float* y;              ///< [n_rows, n]
  std::int64_t n_rows;
  std::int64_t n;
};

/// Converts `count` values of one type to another: fp32 rows into a cache, cached rows back to fp32.
struct Convert {
  const void* from;
  void* to;
  std::int64_t count;
  DType from_dtype;
  DType to_dtype;
};

/// to[i] = scale[i / 32] * weight[i], exact in fp32, rounded to the type asked for.
struct DequantiseQ8 {
  const std::int8_t* weight;   ///< [count]
  const std::uint16_t* scale;  ///< [count / 32], binary16
  void* to;                    ///< [count]
  std::int64_t count;          ///< a multiple of 32
  DType to_dtype;
};

namespace reference {
void rms_norm(const RmsNorm& args);
void rope(const Rope& args);
void silu_mul(const SiluMul& args);
void convert(const Convert& args);
void dequantise_q8(const DequantiseQ8& args);
}  // namespace reference

namespace cpu {
void rms_norm(const RmsNorm& args);
void rope(const Rope& args);
void silu_mul(const SiluMul& args);
void convert(const Convert& args);
void dequantise_q8(const DequantiseQ8& args);
}  // namespace cpu

}  // namespace tide::kernels
