#include "decode/prefill_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <utility>

#include "kernels/elementwise.h"
#include "kernels/prefill_attention.h"

namespace tide {

using kernels::DType;

namespace {

at::ScalarType scalar_type(DType dtype) { return dtype == DType::f32 ? at::kFloat : at::kBFloat16; }

DType dtype_of(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat ? DType::f32 : DType::bf16;
}

}  // namespace

DType prefill_product_dtype(DType weights) {
  return weights == DType::bf16 && kernels::cpu::has_bf16_dot_products() ? DType::bf16 : DType::f32;
}

ProductBlock::ProductBlock(std::int64_t n_rows, std::int64_t width, DType dtype)
    : ProductBlock(at::empty({n_rows, width}, scalar_type(dtype))) {}

ProductBlock::ProductBlock(at::Tensor rows) : rows_(std::move(rows)) {
  if (dtype_of(rows_) != DType::f32) room_.resize(static_cast<std::size_t>(width()));
}

void* ProductBlock::stored(std::int64_t i) const {
  return static_cast<std::byte*>(rows_.data_ptr()) + i * width() * rows_.element_size();
}

float* ProductBlock::row(std::int64_t i) {
  return in_place() ? static_cast<float*>(stored(i)) : room_.data();
}

void ProductBlock::put(std::int64_t i) {
  if (!in_place()) kernels::cpu::convert({room_.data(), stored(i), width(), DType::f32, dtype_of(rows_)});
}

float* ProductBlock::get(std::int64_t i) {
  if (!in_place()) kernels::cpu::convert({stored(i), room_.data(), width(), dtype_of(rows_), DType::f32});
  return row(i);
}

PrefillProducts::PrefillProducts(const Weights& weights, DType dtype, kernels::ThreadPool& pool)
    : weights_(weights), dtype_(dtype), pool_(pool) {}

std::int64_t PrefillProducts::block_rows(std::int64_t count) const {
  // LibTorch does not promise that a row's bits are independent of the rows beside it: the same blocks on
  // any number of threads.
  if (dtype_ != DType::f32) return count >= 256 ? 128 : 32;
  // Whole register tiles, enough of them to share the passes over a panel.
  constexpr std::int64_t kTile = 6, kMost = 21 * kTile;
  const std::int64_t share = (count + pool_.n_threads() - 1) / pool_.n_threads();
  return std::min(kMost, (share + kTile - 1) / kTile * kTile);
}

void PrefillProducts::enter(int layer) {
  const LayerWeights& weights = weights_.layers[static_cast<std::size_t>(layer)];
  const Matrix* of_layer[kCount] = {&weights.qkv, &weights.output, &weights.gate_up, &weights.down};
  for (std::size_t i = 0; i < kCount; ++i) {
    const Matrix& from = *of_layer[i];
    if (dtype_ == DType::f32) {
      matrix_[i] = from.type == WeightType::q8_0 ? dequantised(from, pool_) : from;
    } else {
      row_major_[i] = row_major_bf16(from, pool_);
    }
  }
}

ProductBlock PrefillProducts::multiply(const ProductBlock& x, Which which) const {
  if (dtype_ != DType::f32) return ProductBlock(at::linear(x.rows(), row_major_[which]));
  ProductBlock y(x.n_rows(), matrix_[which].rows, dtype_);
  tide::multiply(matrix_[which], x.rows().const_data_ptr<float>(), x.n_rows(), nullptr, y.row(0));
  return y;
}

void PrefillProducts::add_product(const ProductBlock& x, Which which, float* sum) const {
  if (dtype_ == DType::f32) {
    return tide::multiply(matrix_[which], x.rows().const_data_ptr<float>(), x.n_rows(), sum, sum);
  }
  ProductBlock update = multiply(x, which);
  for (std::int64_t i = 0; i < update.n_rows(); ++i) {
    float* to = sum + i * update.width();
    std::transform(to, to + update.width(), update.get(i), to, std::plus<>());
  }
}

}  // namespace tide
