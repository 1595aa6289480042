#pragma once
// Weight products of the prompt's pass: many rows, bound by arithmetic. A matrix is packed once for
// all rows.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// Outputs of a panel of a packed matrix.
inline constexpr std::int64_t kPanelOuts = 16;

/// Floats of a packed matrix: whole panels.
constexpr std::int64_t packed_size(std::int64_t n_in, std::int64_t n_out) {
  return (n_out + kPanelOuts - 1) / kPanelOuts * kPanelOuts * n_in;
}

/// packed[(o / 16 * n_in + i) * 16 + o % 16] = weight[o, i]; zeros behind n_out.
struct PackWeight {
  const void* weight;  ///< [n_out, n_in], row-major
  float* packed;       ///< [packed_size(n_in, n_out)]
  std::int64_t n_in;
  std::int64_t n_out;
  DType dtype;  ///< of weight
};

/// y[r, o] = sum over i of x[r, i] * weight[o, i], added to what y holds if `add`.
/// A row's bits do not depend on the rows beside it.
struct PackedLinear {
  const float* x;       ///< [n_rows, n_in]
  const float* packed;  ///< of weight [n_out, n_in]
  float* y;             ///< [n_rows, n_out]
  std::int64_t n_rows;
  std::int64_t n_in;
  std::int64_t n_out;
  bool add;
};

namespace reference {
void pack_weight(const PackWeight& args, ThreadPool& pool);
void packed_linear(const PackedLinear& args);
}  // namespace reference

namespace cpu {
void pack_weight(const PackWeight& args, ThreadPool& pool);
/// On the calling thread: blocks of rows are shared out by the caller.
void packed_linear(const PackedLinear& args);
}  // namespace cpu

}  // namespace tide::kernels
