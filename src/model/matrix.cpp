#include "model/matrix.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/linear_q8.h"
#include "model/quantise.h"

namespace tide {

namespace {

using kernels::DType;
using kernels::kQ8Block;

DType dtype_of(WeightType type) {
  TIDE_ASSERT(type != WeightType::q8_0);
  return type == WeightType::f32 ? DType::f32 : DType::bf16;
}

/// The start of a row of a tensor of two dimensions.
template <typename T>
T* row_of(const at::Tensor& tensor, std::int64_t row) {
  return static_cast<T*>(tensor.data_ptr()) + row * tensor.size(1) * tensor.element_size() / sizeof(T);
}

/// Rows [first, first + count) in `dtype`: [count, columns].
void load_rows(const Matrix& matrix, std::int64_t first, std::int64_t count, void* to, DType dtype) {
  const std::int64_t weights = count * matrix.columns();
  if (matrix.type == WeightType::q8_0) {
    kernels::cpu::dequantise_q8({row_of<std::int8_t>(matrix.values, first),
                                 row_of<std::uint16_t>(matrix.scales, first), to, weights, dtype});
  } else {
    kernels::cpu::convert(
        {row_of<std::byte>(matrix.values, first), to, weights, dtype_of(matrix.type), dtype});
  }
}

}  // namespace

std::size_t Matrix::bytes() const { return values.nbytes() + (scales.defined() ? scales.nbytes() : 0); }

bool Matrix::store_row(std::int64_t row, const float* from) {
  if (type == WeightType::q8_0) {
    return quantise_q8_0(from, columns(), row_of<std::int8_t>(values, row),
                         row_of<std::uint16_t>(scales, row));
  }
  kernels::cpu::convert({from, row_of<std::byte>(values, row), columns(), DType::f32, dtype_of(type)});
  return true;
}

void Matrix::store_q8_0_blocks(std::int64_t row, const std::byte* blocks) {
  TIDE_ASSERT(type == WeightType::q8_0);
  auto* value = row_of<std::int8_t>(values, row);
  auto* scale = row_of<std::uint16_t>(scales, row);
  for (std::int64_t i = 0; i < columns(); i += kQ8Block, ++scale) {
    std::memcpy(scale, blocks, sizeof(*scale));
    std::memcpy(value + i, blocks + sizeof(*scale), kQ8Block);
    blocks += sizeof(*scale) + kQ8Block;
  }
}

void Matrix::load_row(std::int64_t row, float* to) const { load_rows(*this, row, 1, to, DType::f32); }

void multiply(const Matrix& matrix, const float* x, std::int64_t n_rows, const float* residual, float* y,
              kernels::ThreadPool& pool) {
  if (matrix.type == WeightType::q8_0) {
    kernels::cpu::linear_q8({.x = x,
                             .weight = row_of<std::int8_t>(matrix.values, 0),
                             .scale = row_of<std::uint16_t>(matrix.scales, 0),
                             .bias = nullptr,
                             .residual = residual,
                             .y = y,
                             .n_rows = n_rows,
                             .n_in = matrix.columns(),
                             .n_out = matrix.rows()},
                            pool);
  } else {
    kernels::cpu::linear({.x = x,
                          .weight = matrix.values.const_data_ptr(),
                          .bias = nullptr,
                          .residual = residual,
                          .y = y,
                          .n_rows = n_rows,
                          .n_in = matrix.columns(),
                          .n_out = matrix.rows(),
                          .dtype = dtype_of(matrix.type)},
                         pool);
  }
}

at::Tensor dense(const Matrix& matrix, DType dtype, kernels::ThreadPool& pool) {
  if (matrix.type != WeightType::q8_0 && dtype_of(matrix.type) == dtype) return matrix.values;
  constexpr std::int64_t kRowsATask = 64;
  at::Tensor copy =
      at::empty({matrix.rows(), matrix.columns()}, dtype == DType::f32 ? at::kFloat : at::kBFloat16);
  pool.run((matrix.rows() + kRowsATask - 1) / kRowsATask, [&](std::int64_t task) {
    const std::int64_t first = task * kRowsATask;
    load_rows(matrix, first, std::min(kRowsATask, matrix.rows() - first), row_of<std::byte>(copy, first),
              dtype);
  });
  return copy;
}

}  // namespace tide
