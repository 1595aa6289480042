#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/reference/load.h"

namespace tide::kernels::reference {

void rms_norm(const RmsNorm& args) {
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    const float* x = args.x + r * args.n;
    float* y = args.y + r * args.n;
    double sum = 0;
    for (std::int64_t i = 0; i < args.n; ++i) sum += static_cast<double>(x[i]) * x[i];
    const double scale =
        1.0 / std::sqrt(sum / static_cast<double>(args.n) + static_cast<double>(args.epsilon));
    for (std::int64_t i = 0; i < args.n; ++i) y[i] = static_cast<float>(x[i] * scale * args.weight[i]);
  }
}

void rope(const Rope& args) {
  const std::int32_t half = args.head_dim / 2;
  for (std::int32_t h = 0; h < args.n_heads; ++h) {
    float* head = args.x + static_cast<std::int64_t>(h) * args.head_dim;
    for (std::int32_t i = 0; i < half; ++i) {
      const double first = head[i], second = head[i + half];
      const double cosine = args.cosine[i], sine = args.sine[i];
      head[i] = static_cast<float>(first * cosine - second * sine);
      head[i + half] = static_cast<float>(second * cosine + first * sine);
    }
  }
}

void silu_mul(const SiluMul& args) {
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    const float* gate = args.gate_up + r * 2 * args.n;
    const float* up = gate + args.n;
    for (std::int64_t i = 0; i < args.n; ++i) {
      const double g = gate[i];
      args.y[r * args.n + i] = static_cast<float>(g / (1.0 + std::exp(-g)) * up[i]);
    }
  }
}

void convert(const Convert& args) {
  for (std::int64_t i = 0; i < args.count; ++i) {
    store(args.to, i, args.to_dtype, load(args.from, i, args.from_dtype));
  }
}

void dequantise_q8(const DequantiseQ8& args) {
  for (std::int64_t i = 0; i < args.count; ++i) {
    store(args.to, i, args.to_dtype, half_to_float(args.scale[i / kQ8Block]) * args.weight[i]);
  }
}

}  // namespace tide::kernels::reference
