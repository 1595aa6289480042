#include "model/matrix.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/linear_q8.h"
#include "model/quantise.h"

namespace tide {

namespace {

using kernels::DType;
using kernels::kPanelOuts;
using kernels::kQ8Block;

DType dtype_of(WeightType type) {
  TIDE_ASSERT(type != WeightType::q8_0);
  return type == WeightType::f32 ? DType::f32 : DType::bf16;
}

/// Row `row` of a row-major tensor of two dimensions.
template <typename T>
T* row_of(const at::Tensor& tensor, std::int64_t row) {
  return static_cast<T*>(tensor.data_ptr()) + row * tensor.size(1);
}

/// The panel that holds a row.
void* panel_of(const Matrix& matrix, std::int64_t row) {
  return static_cast<std::byte*>(matrix.values.data_ptr()) +
         kernels::panels_bytes(matrix.columns, row / kPanelOuts * kPanelOuts, dtype_of(matrix.type));
}

/// A row of a q8_0 matrix in `dtype`.
void dequantise_row(const Matrix& matrix, std::int64_t row, void* to, DType dtype) {
  kernels::cpu::dequantise_q8({row_of<std::int8_t>(matrix.values, row),
                               row_of<std::uint16_t>(matrix.scales, row), to, matrix.columns, dtype});
}

kernels::Linear product(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual,
                        float* y) {
  return {.x = x,
          .weight = matrix.values.const_data_ptr(),
          .bias = nullptr,
          .residual = residual,
          .y = y,
          .n_rows = n_rows,
          .n_in = matrix.columns,
          .n_out = matrix.rows,
          .dtype = dtype_of(matrix.type)};
}

/// Calls fn(first row, count) for the rows of every panel.
template <typename Fn>
void for_each_panel(const Matrix& matrix, kernels::ThreadPool& pool, const Fn& fn) {
  pool.run((matrix.rows + kPanelOuts - 1) / kPanelOuts, [&](std::int64_t panel) {
    const std::int64_t first = panel * kPanelOuts;
    fn(first, std::min(kPanelOuts, matrix.rows - first));
  });
}

}  // namespace

std::size_t Matrix::bytes() const { return values.nbytes() + (scales.defined() ? scales.nbytes() : 0); }

bool Matrix::store_row(std::int64_t row, const float* from) {
  if (type == WeightType::q8_0) {
    return quantise_q8_0(from, columns, row_of<std::int8_t>(values, row), row_of<std::uint16_t>(scales, row));
  }
  const DType dtype = dtype_of(type);
  std::vector<std::byte> stored(static_cast<std::size_t>(columns) * kernels::size_of(dtype));
  kernels::cpu::convert({from, stored.data(), columns, DType::f32, dtype});
  kernels::pack_rows({stored.data(), panel_of(*this, row), row % kPanelOuts, 1, columns, dtype});
  return true;
}

void Matrix::store_q8_0_blocks(std::int64_t row, const std::byte* blocks) {
  TIDE_ASSERT(type == WeightType::q8_0);
  auto* value = row_of<std::int8_t>(values, row);
  auto* scale = row_of<std::uint16_t>(scales, row);
  for (std::int64_t i = 0; i < columns; i += kQ8Block, ++scale) {
    std::memcpy(scale, blocks, sizeof(*scale));
    std::memcpy(value + i, blocks + sizeof(*scale), kQ8Block);
    blocks += sizeof(*scale) + kQ8Block;
  }
}

void Matrix::load_row(std::int64_t row, float* to) const {
  if (type == WeightType::q8_0) return dequantise_row(*this, row, to, DType::f32);
  kernels::load_panel_row(panel_of(*this, row), row % kPanelOuts, columns, dtype_of(type), to);
}

void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y,
              kernels::ThreadPool& pool) {
  if (matrix.type != WeightType::q8_0) {
    return kernels::cpu::linear(product(matrix, x, n_rows, residual, y), pool);
  }
  kernels::cpu::linear_q8({.x = x,
                           .weight = row_of<std::int8_t>(matrix.values, 0),
                           .scale = row_of<std::uint16_t>(matrix.scales, 0),
                           .bias = nullptr,
                           .residual = residual,
                           .y = y,
                           .n_rows = n_rows,
                           .n_in = matrix.columns,
                           .n_out = matrix.rows},
                          pool);
}

void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y) {
  kernels::cpu::linear(product(matrix, x, n_rows, residual, y));
}

Matrix dequantised(const Matrix& matrix, kernels::ThreadPool& pool) {
  TIDE_ASSERT(matrix.type == WeightType::q8_0);
  const std::int64_t bytes = kernels::panels_bytes(matrix.columns, matrix.rows, DType::f32);
  const Matrix to{WeightType::f32, matrix.rows, matrix.columns, at::empty({bytes / 4}, at::kFloat), {}};
  for_each_panel(to, pool, [&](std::int64_t first, std::int64_t count) {
    std::vector<float> rows(static_cast<std::size_t>(kPanelOuts * matrix.columns));  // zeros behind the last
    for (std::int64_t i = 0; i < count; ++i) {
      dequantise_row(matrix, first + i, rows.data() + i * matrix.columns, DType::f32);
    }
    kernels::pack_rows({rows.data(), panel_of(to, first), 0, kPanelOuts, matrix.columns, DType::f32});
  });
  return to;
}

at::Tensor row_major_bf16(const Matrix& matrix, kernels::ThreadPool& pool) {
  TIDE_ASSERT(matrix.type != WeightType::f32);
  at::Tensor to = at::empty({matrix.rows, matrix.columns}, at::kBFloat16);
  for_each_panel(matrix, pool, [&](std::int64_t first, std::int64_t count) {
    auto* rows = row_of<std::uint16_t>(to, first);
    if (matrix.type == WeightType::bf16) {
      return kernels::unpack_rows({rows, panel_of(matrix, first), 0, count, matrix.columns, DType::bf16});
    }
    for (std::int64_t i = 0; i < count; ++i) {
      dequantise_row(matrix, first + i, rows + i * matrix.columns, DType::bf16);
    }
  });
  return to;
}

}  // namespace tide
