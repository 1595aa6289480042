#pragma once
// A weight matrix in memory, in one of the weight types, and what is done with it.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

#include "kernels/thread_pool.h"
#include "kernels/types.h"
#include "model/weight_type.h"

namespace tide {

/// [rows, columns]: rows are outputs. A copy shares its memory.
struct Matrix {
  WeightType type = WeightType::f32;
  std::int64_t rows = 0, columns = 0;
  at::Tensor values;  ///< fp32 and bf16: panels (kernels/panels.h); q8_0: [rows, columns] int8, row-major
  at::Tensor scales;  ///< [rows, columns / 32] binary16 with q8_0, else undefined

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

/// y[r, n] = sum over i of x[r, i] * matrix[n, i] (+ residual[r, n]).
/// x: [n_rows, columns]; y, residual (or null, or y itself): [n_rows, rows].
void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y,
              kernels::ThreadPool& pool);
/// The same on the calling thread; not for q8_0, which is made for few rows.
void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y);

/// A q8_0 matrix in fp32, without loss.
Matrix dequantised(const Matrix& matrix, kernels::ThreadPool& pool);

/// A copy of a bf16 or q8_0 matrix for LibTorch's products: [rows, columns] in bf16, row-major.
at::Tensor row_major_bf16(const Matrix& matrix, kernels::ThreadPool& pool);

}  // namespace tide
