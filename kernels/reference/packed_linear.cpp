#include "kernels/packed_linear.h"

#include "kernels/reference/load.h"

namespace tide::kernels::reference {

namespace {

std::int64_t packed_index(std::int64_t o, std::int64_t i, std::int64_t n_in) {
  return (o / kPanelOuts * n_in + i) * kPanelOuts + o % kPanelOuts;
}

}  // namespace

void pack_weight(const PackWeight& args, ThreadPool&) {
  const std::int64_t padded = packed_size(1, args.n_out);
  for (std::int64_t o = 0; o < padded; ++o) {
    for (std::int64_t i = 0; i < args.n_in; ++i) {
      args.packed[packed_index(o, i, args.n_in)] =
          o < args.n_out ? load(args.weight, o * args.n_in + i, args.dtype) : 0.0f;
    }
  }
}

void packed_linear(const PackedLinear& args) {
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    for (std::int64_t o = 0; o < args.n_out; ++o) {
      double sum = args.add ? args.y[r * args.n_out + o] : 0;
      for (std::int64_t i = 0; i < args.n_in; ++i) {
        sum += static_cast<double>(args.x[r * args.n_in + i]) * args.packed[packed_index(o, i, args.n_in)];
      }
      args.y[r * args.n_out + o] = static_cast<float>(sum);
    }
  }
}

}  // namespace tide::kernels::reference
