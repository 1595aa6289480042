#pragma once
// Weight products of the prompt's pass: blocks of rows, in the type that this processor multiplies
// fastest.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/thread_pool.h"
#include "kernels/types.h"
#include "model/weights.h"

namespace tide {

/// bf16 for bf16 weights on processors with bf16 dot products, where LibTorch's GEMM is the fastest. On the
/// rest it takes eight times as long as fp32 products do.
kernels::DType prefill_product_dtype(kernels::DType weights);

/// A block of rows that goes into a product or came out of one: [n_rows, width] in the products' type,
/// written and read row by row as fp32.
class ProductBlock {
 public:
  ProductBlock(std::int64_t n_rows, std::int64_t width, kernels::DType dtype);
  explicit ProductBlock(at::Tensor rows);

  const at::Tensor& rows() const { return rows_; }
  std::int64_t n_rows() const { return rows_.size(0); }
  std::int64_t width() const { return rows_.size(1); }

  /// Where to write row i, to be followed by put(i): [width].
  float* row(std::int64_t i);
  void put(std::int64_t i);
  /// Row i as it is; free to be overwritten by the caller, and lost at the next call.
  float* get(std::int64_t i);

 private:
  bool in_place() const { return room_.empty(); }
  void* stored(std::int64_t i) const;

  at::Tensor rows_;
  std::vector<float> room_;  // [width] where rows are not fp32
};

/// The matrices of one layer at a time. Where products run in fp32 (our own kernel), they are used as they
/// are, 8-bit ones dequantised as their layer is entered; where they run in bf16 (LibTorch's), a layer is
/// laid out for it as it is entered: memory of one layer, and a time that the rows of a chunk share.
class PrefillProducts {
 public:
  enum Which : std::size_t { kQkv, kOutput, kGateUp, kDown, kCount };

  PrefillProducts(const Weights& weights, kernels::DType dtype, kernels::ThreadPool& pool);

  kernels::DType dtype() const { return dtype_; }
  /// Rows that a thread carries at once out of a chunk's `count`.
  std::int64_t block_rows(std::int64_t count) const;

  void enter(int layer);

  /// x W^T: [x.n_rows, n_out]
  ProductBlock multiply(const ProductBlock& x, Which which) const;
  /// sum[r, o] += (x W^T)[r, o]; sum: [x.n_rows, n_out]
  void add_product(const ProductBlock& x, Which which, float* sum) const;

 private:
  const Weights& weights_;
  kernels::DType dtype_;
  kernels::ThreadPool& pool_;
  // Of the layer entered: one of the two.
  std::array<Matrix, kCount> matrix_;
  std::array<at::Tensor, kCount> row_major_;
};

}  // namespace tide
