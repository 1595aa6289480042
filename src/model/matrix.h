#pragma once
// A weight matrix in memory, in one of the weight types, and what is done with it.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

#include "kernels/thread_pool.h"
#include "kernels/types.h"
#include "model/weight_type.h"

namespace tide {

/// [rows, columns], row-major: rows are outputs. A copy shares its memory.
struct Matrix {
  WeightType type = WeightType::f32;
  at::Tensor values;  ///< [rows, columns]: fp32, bf16 or int8
  at::Tensor scales;  ///< [rows, columns / 32] binary16 with q8_0, else undefined

  std::int64_t rows() const { return values.size(0); }
  std::int64_t columns() const { return values.size(1); }
  std::size_t bytes() const;
  bool is_same(const Matrix& other) const { return values.is_same(other.values); }

  /// Rounds one row into place: [columns]. False when q8_0 cannot hold it (model/quantise.h).
  [[nodiscard]] bool store_row(std::int64_t row, const float* from);
  /// Copies one row of a q8_0 matrix from GGUF's blocks, bit for bit: columns / 32 times a scale and
  /// 32 values.
  void store_q8_0_blocks(std::int64_t row, const std::byte* blocks);
  /// One row as fp32: [columns].
  void load_row(std::int64_t row, float* to) const;
};

/// y[r, n] = sum over i of x[r, i] * matrix[n, i] (+ residual[r, n]), for the few rows of a decode step.
/// x: [n_rows, columns]; y, residual (or null, or y itself): [n_rows, rows].
void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y,
              kernels::ThreadPool& pool);

/// The matrix as a tensor of fp32 or bf16, for products of many rows: its own values where they are of
/// that type, else a copy.
at::Tensor dense(const Matrix& matrix, kernels::DType dtype, kernels::ThreadPool& pool);

}  // namespace tide
