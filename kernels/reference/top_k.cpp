#include "kernels/top_k.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tide::kernels::reference {

std::int64_t top_k(const TopK& args) {
  std::vector<std::int32_t> order;
  for (std::int64_t i = 0; i < args.n; ++i) {
    if (!std::isnan(args.value[i])) order.push_back(static_cast<std::int32_t>(i));
  }
  // A stable sort keeps the smaller index first in ties; -0 equals +0 under operator>.
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return args.value[a] > args.value[b]; });
  const std::int64_t written = std::min(args.k, static_cast<std::int64_t>(order.size()));
  for (std::int64_t i = 0; i < written; ++i) {
    args.index[i] = order[static_cast<std::size_t>(i)];
    if (args.top_value) args.top_value[i] = args.value[args.index[i]];
  }
  return written;
}

void pooled_prob(const PooledProb& args) {
  for (std::int64_t i = 0; i < args.count; ++i) {
    double sum = 0;
    for (std::int32_t h = 0; h < args.n_heads; ++h) {
      sum += std::exp(static_cast<double>(args.score[h * args.stride + i]) - args.log_sum_exp[h]);
    }
    args.pooled[i] = static_cast<float>(sum);
  }
}

}  // namespace tide::kernels::reference
