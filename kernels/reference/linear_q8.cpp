#include "kernels/linear_q8.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/float16.h"

namespace tide::kernels::reference {

namespace {

/// A block of x in 16 bits. The roundings are fp32's, as the contract tells them.
struct PackedBlock {
  explicit PackedBlock(const float* x) {
    float largest = 0;
    bool finite = true;
    for (std::int64_t i = 0; i < kQ8Block; ++i) {
      largest = std::max(largest, std::fabs(x[i]));
      finite = finite && std::isfinite(x[i]);
    }
    if (!finite) scale = std::numeric_limits<float>::quiet_NaN();
    if (!finite || largest < 0x1p-110f) return;
    const float inverse = 32767.0f / largest;
    scale = largest / 32767.0f;
    for (std::int64_t i = 0; i < kQ8Block; ++i) {
      value[i] = static_cast<std::int64_t>(std::nearbyint(x[i] * inverse));
    }
  }

  std::int64_t value[kQ8Block] = {};
  float scale = 0;
};

}  // namespace

void linear_q8(const LinearQ8& args, ThreadPool&) {
  const std::int64_t n_blocks = args.n_in / kQ8Block;
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    std::vector<PackedBlock> x;
    for (std::int64_t b = 0; b < n_blocks; ++b) x.emplace_back(args.x + r * args.n_in + b * kQ8Block);
    for (std::int64_t n = 0; n < args.n_out; ++n) {
      double sum = 0;
      for (std::int64_t b = 0; b < n_blocks; ++b) {
        const PackedBlock& block = x[static_cast<std::size_t>(b)];
        std::int64_t product = 0;
        for (std::int64_t i = 0; i < kQ8Block; ++i) {
          product += block.value[i] * args.weight[n * args.n_in + b * kQ8Block + i];
        }
        sum += static_cast<double>(product) * static_cast<double>(block.scale) *
               static_cast<double>(half_to_float(args.scale[n * n_blocks + b]));
      }
      if (args.bias) sum += args.bias[n];
      if (args.residual) sum += args.residual[r * args.n_out + n];
      args.y[r * args.n_out + n] = static_cast<float>(sum);
    }
  }
}

}  // namespace tide::kernels::reference
