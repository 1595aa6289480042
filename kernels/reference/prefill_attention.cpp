#include "kernels/prefill_attention.h"

#include <algorithm>
#include <vector>

#include "kernels/attention.h"

namespace tide::kernels::reference {

void prefill_attention(const PrefillAttention& args, ThreadPool& pool) {
  std::vector<float> score(static_cast<std::size_t>(args.n_heads * (args.first + args.n_rows)));
  std::vector<float> log_sum_exp(static_cast<std::size_t>(args.n_heads));
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    const std::int64_t kv_len = args.first + r + 1;
    KvView kv = args.kv;
    kv.segment[0].count = std::min(kv.segment[0].count, kv_len);
    kv.segment[1].count = std::min(kv.segment[1].count, kv_len - kv.segment[0].count);
    const FullAttentionRow row{
        args.query + r * args.query_stride,       kv, score.data(), kv_len, log_sum_exp.data(),
        args.out + r * args.n_heads * kv.head_dim};
    full_attention({&row, 1}, args.n_heads, pool);
  }
}

}  // namespace tide::kernels::reference
