#include "kernels/prefill_attention.h"

#include <algorithm>
#include <vector>

#include "kernels/attention.h"

namespace tide::kernels::reference {

namespace {

/// Rows [first, end) of the cache, numbered from 0.
KvView rows_between(KvView kv, std::int64_t first, std::int64_t end) {
  std::int64_t begin = 0, numbered = 0;
  for (KvSegment& segment : kv.segment) {
    const std::int64_t from = std::clamp<std::int64_t>(first - begin, 0, segment.count);
    const std::int64_t to = std::clamp<std::int64_t>(end - begin, from, segment.count);
    begin += segment.count;
    const auto bytes = static_cast<std::size_t>(from * kv.head_dim) * size_of(kv.dtype);
    segment.k = static_cast<const std::byte*>(segment.k) + bytes;
    segment.v = static_cast<const std::byte*>(segment.v) + bytes;
    segment.count = to - from;
    segment.begin = numbered;
    numbered += segment.count;
  }
  return kv;
}

}  // namespace

void prefill_attention(const PrefillAttention& args, ThreadPool& pool) {
  std::vector<float> score(static_cast<std::size_t>(args.n_heads * (args.first + args.n_rows)));
  std::vector<float> log_sum_exp(static_cast<std::size_t>(args.n_heads));
  for (std::int64_t r = 0; r < args.n_rows; ++r) {
    const std::int64_t kv_len = args.first + r + 1;
    const std::int64_t first = args.window == 0 ? 0 : std::max<std::int64_t>(0, kv_len - args.window);
    const KvView kv = rows_between(args.kv, first, kv_len);
    const FullAttentionRow row{
        args.query + r * args.query_stride,       kv, score.data(), kv_len, log_sum_exp.data(),
        args.out + r * args.n_heads * kv.head_dim};
    full_attention({&row, 1}, args.n_heads, pool);
  }
}

}  // namespace tide::kernels::reference
