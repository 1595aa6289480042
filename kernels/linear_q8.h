#pragma once
// Weight products of the decode step on 8-bit weights, bound by reading 34 bytes for 32 of them.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

class ThreadPool;

/// y[r, n] = sum over i of x[r, i] * scale[n, i / 32] * weight[n, i] (+ bias[n]) (+ residual[r, n]).
///
/// x is rounded to 16 bits, 32 values at a time: with m the largest magnitude of a block, value i becomes
/// the integer nearest to x[i] * (32767 / m), ties to even, and counts as that integer times m / 32767,
/// which is off by m / 65534 at most. The products of a block are summed in integers, so exactly and in any
/// order; blocks are summed in fp32. A block whose m is below 2^-110 counts as zeros; one that holds an
/// infinity or a NaN makes the row's outputs NaN.
///
/// A row's bits do not depend on how many rows stand beside it, nor on the thread count.
struct LinearQ8 {
  const float* x;              ///< [n_rows, n_in]
  const std::int8_t* weight;   ///< [n_out, n_in], row-major
  const std::uint16_t* scale;  ///< [n_out, n_in / 32], binary16
  const float* bias;           ///< [n_out] or null
  const float* residual;       ///< [n_rows, n_out] or null; may be y itself
  float* y;                    ///< [n_rows, n_out]
  std::int64_t n_rows;
  std::int64_t n_in;  ///< a multiple of 32
  std::int64_t n_out;
};

namespace reference {
void linear_q8(const LinearQ8& args, ThreadPool& pool);
}
namespace cpu {
void linear_q8(const LinearQ8& args, ThreadPool& pool);
}

}  // namespace tide::kernels
