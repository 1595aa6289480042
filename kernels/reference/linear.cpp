#include "kernels/linear.h"

#include "kernels/reference/load.h"

namespace tide::kernels::reference {

namespace {

/// weight[o, i] of a matrix in panels.
double weight_at(const Linear& args, std::int64_t o, std::int64_t i) {
  const std::int64_t in_word = args.dtype == DType::f32 ? 1 : 2;
  const std::int64_t word =
      (o / kPanelOuts * panel_words(args.n_in, args.dtype) + i / in_word) * kPanelOuts + o % kPanelOuts;
  return load(args.weight, word * in_word + i % in_word, args.dtype);
}

}  // namespace

void linear(const Linear& args) {
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    for (std::int64_t o = 0; o < args.n_out; ++o) {
      double sum = 0;
      for (std::int64_t i = 0; i < args.n_in; ++i) sum += args.x[r * args.n_in + i] * weight_at(args, o, i);
      if (args.bias) sum += args.bias[o];
      if (args.residual) sum += args.residual[r * args.n_out + o];
      args.y[r * args.n_out + o] = static_cast<float>(sum);
    }
  }
}

}  // namespace tide::kernels::reference
