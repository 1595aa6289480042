#include "decode/prefill_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <utility>

#include "kernels/elementwise.h"
#include "kernels/packed_linear.h"
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
  const auto as_tensor = [&](const tide::Matrix& matrix) {
    return matrix.type == WeightType::q8_0 ? dense(matrix, dtype_, pool_) : matrix.values;
  };
  stored_ = {as_tensor(weights.qkv), as_tensor(weights.output), as_tensor(weights.gate_up),
             as_tensor(weights.down)};
  if (dtype_ != DType::f32) return;
  for (std::size_t i = 0; i < kCount; ++i) {
    const at::Tensor& from = stored_[i];
    if (!packed_[i].defined()) {
      packed_[i] = at::empty({kernels::packed_size(from.size(1), from.size(0))}, at::kFloat);
    }
    kernels::cpu::pack_weight(
        {from.const_data_ptr(), packed_[i].data_ptr<float>(), from.size(1), from.size(0), dtype_of(from)},
        pool_);
  }
}

void PrefillProducts::multiply_packed(const ProductBlock& x, Matrix matrix, float* y, bool add) const {
  kernels::cpu::packed_linear({x.rows().const_data_ptr<float>(), packed_[matrix].const_data_ptr<float>(), y,
                               x.n_rows(), x.width(), stored_[matrix].size(0), add});
}

ProductBlock PrefillProducts::multiply(const ProductBlock& x, Matrix matrix) const {
  if (dtype_ != DType::f32) return ProductBlock(at::linear(x.rows(), stored_[matrix]));
  ProductBlock y(x.n_rows(), stored_[matrix].size(0), dtype_);
  multiply_packed(x, matrix, y.row(0), false);
  return y;
}

void PrefillProducts::add_product(const ProductBlock& x, Matrix matrix, float* sum) const {
  if (dtype_ == DType::f32) return multiply_packed(x, matrix, sum, true);
  ProductBlock update = multiply(x, matrix);
  for (std::int64_t i = 0; i < update.n_rows(); ++i) {
    float* to = sum + i * update.width();
    std::transform(to, to + update.width(), update.get(i), to, std::plus<>());
  }
}

}  // namespace tide
