#include "kernels/linear.h"

#include "kernels/reference/load.h"

namespace tide::kernels::reference {

void linear(const Linear& args, ThreadPool&) {
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    for (std::int64_t n = 0; n < args.n_out; ++n) {
      double sum = 0;
      for (std::int64_t i = 0; i < args.n_in; ++i) {
        sum +=
            static_cast<double>(args.x[r * args.n_in + i]) * load(args.weight, n * args.n_in + i, args.dtype);
      }
      if (args.bias) sum += args.bias[n];
      if (args.residual) sum += args.residual[r * args.n_out + n];
      args.y[r * args.n_out + n] = static_cast<float>(sum);
    }
  }
}

}  // namespace tide::kernels::reference
