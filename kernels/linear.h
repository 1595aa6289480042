#pragma once
// Weight products of the decode step: few rows, bound by reading the weights.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// y[r, n] = sum over i of x[r, i] * weight[n, i] (+ bias[n]) (+ residual[r, n]).
/// A row's bits do not depend on how many rows stand beside it, nor on the thread count.
struct Linear {
  const float* x;         ///< [n_rows, n_in]
  const void* weight;     ///< [n_out, n_in], row-major
  const float* bias;      ///< [n_out] or null
  const float* residual;  ///< [n_rows, n_out] or null; may be y itself
  float* y;               ///< [n_rows, n_out]
  std::int64_t n_rows;
  std::int64_t n_in;
  std::int64_t n_out;
  DType dtype;  ///< of weight: f32, f16 or bf16; products and sums are fp32
};

namespace reference {
void linear(const Linear& args, ThreadPool& pool);
}
namespace cpu {
void linear(const Linear& args, ThreadPool& pool);
}

}  // namespace tide::kernels
