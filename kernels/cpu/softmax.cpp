// Probabilities from scores: one by one, or summed over the heads of a set.

#include <algorithm>

#include "kernels/attention.h"
#include "kernels/thread_pool.h"
#include "kernels/top_k.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

void head_probs(const float* score, float log_sum_exp, float* prob, std::size_t count) {
  const F d;
  const V shift = hn::Set(d, log_sum_exp);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) F32::store(exp(hn::Sub(F32::load(score + i), shift)), prob + i);
  if (i < count) {
    const std::size_t rest = count - i;
    store_partial<F32>(exp(hn::Sub(load_partial<F32>(score + i, rest), shift)), prob + i, rest);
  }
}

void pooled_prob(const PooledProb& args) {
  const F d;
  const std::size_t count = static_cast<std::size_t>(args.count),
                    stride = static_cast<std::size_t>(args.stride);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t rest = std::min(kLanes, count - i);
    V sum = hn::Zero(d);
    for (std::size_t h = 0; h < static_cast<std::size_t>(args.n_heads); ++h) {
      const float* score = args.score + h * stride + i;
      const V s = rest == kLanes ? F32::load(score) : load_partial<F32>(score, rest);
      sum = hn::Add(sum, exp(hn::Sub(s, hn::Set(d, args.log_sum_exp[h]))));
    }
    rest == kLanes ? F32::store(sum, args.pooled + i) : store_partial<F32>(sum, args.pooled + i, rest);
  }
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {
HWY_EXPORT(head_probs);
HWY_EXPORT(pooled_prob);
}  // namespace

void pooled_prob(const PooledProb& args) { HWY_DYNAMIC_DISPATCH(pooled_prob)(args); }

void attention_probs(std::span<const ProbRow> rows, ThreadPool& pool) {
  std::int64_t most_heads = 0;
  for (const ProbRow& row : rows) most_heads = std::max<std::int64_t>(most_heads, row.n_heads);
  pool.run(static_cast<std::int64_t>(rows.size()) * most_heads, [&](std::int64_t task) {
    const ProbRow& row = rows[static_cast<std::size_t>(task / most_heads)];
    const std::int64_t h = task % most_heads;
    if (h >= row.n_heads) return;
    HWY_DYNAMIC_DISPATCH(head_probs)
    (row.score + h * row.stride, row.log_sum_exp[h], row.prob + h * row.stride,
     static_cast<std::size_t>(row.count));
  });
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
