#pragma once
// Weight products: of a decode step's one row, bound by reading the weights; of the forks of a batch or
// a block of a prompt's rows, bound by arithmetic.

#include <cstdint>

#include "kernels/panels.h"
#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// y[r, o] = sum over i of x[r, i] * weight[o, i] (+ bias[o]) (+ residual[r, o]).
/// A row's bits do not depend on how many rows stand beside it, nor on the thread count.
struct Linear {
  const float* x;         ///< [n_rows, n_in]
  const void* weight;     ///< [n_out, n_in] in panels (kernels/panels.h)
  const float* bias;      ///< [n_out] or null
  const float* residual;  ///< [n_rows, n_out] or null; may be y itself
  float* y;               ///< [n_rows, n_out]
  std::int64_t n_rows;
  std::int64_t n_in;
  std::int64_t n_out;
  DType dtype;  ///< of weight: f32 or bf16; products and sums are fp32
};

namespace reference {
void linear(const Linear& args);
}
namespace cpu {
void linear(const Linear& args, ThreadPool& pool);
/// On the calling thread, for callers that share out blocks of rows.
void linear(const Linear& args);
}  // namespace cpu

}  // namespace tide::kernels
