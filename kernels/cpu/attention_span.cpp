// Two passes over blocks of 64 positions: scores and their peak from K, then exp and the weighted sum
// of V. Rows are found through pointers, so that contiguous and gathered reads, and reads across a
// segment's end, share every instruction. Rows of the block after are prefetched.

#include "kernels/cpu/attention_span.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/cpu/kv_rows.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_span.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

// A register tile: heads by four rows of K, or heads by kTileSteps steps of a row of V.
constexpr int kMaxHeads = kLanes >= 16 ? 4 : 3;
constexpr std::size_t kTileSteps = 2;

/// A row's layout in steps. The last step of an odd head_dim is short.
struct Steps {
  std::size_t whole, rest;  // steps; elements behind them
  std::size_t padded() const { return (whole + (rest ? 1 : 0)) * kStep; }
};

/// A short step, zeros behind it; reads nothing past it.
template <typename T>
HWY_INLINE void load_rest(const typename T::Raw* p, std::size_t count, V& first, V& second) {
  typename T::Raw buffer[kStep] = {};
  std::memcpy(buffer, p, count * sizeof(*p));
  first = load_first<T>(buffer);
  second = load_second<T>(buffer);
}

/// Dot products of kHeads packed queries with four rows, times `scale`, into dot[head * 4 ..].
template <typename T, std::size_t kHeads>
HWY_INLINE void dots(const Steps& steps, const float* query, const char* const* row, float scale,
                     float* dot) {
  using Raw = typename T::Raw;
  const F d;
  const hn::Full128<float> d4;
  const std::size_t pitch = steps.padded();
  V acc[kHeads * 4];  // [head, row]
  unrolled<kHeads * 4>([&](auto i) TIDE_INLINE_LAMBDA { acc[i] = hn::Zero(d); });
  for (std::size_t s = 0; s < steps.whole; ++s) {
    const float* q = query + s * kStep;
    unrolled<4>([&](auto p) TIDE_INLINE_LAMBDA {
      const Raw* k = reinterpret_cast<const Raw*>(row[p]) + s * kStep;
      const V first = load_first<T>(k), second = load_second<T>(k);
      unrolled<kHeads>([&](auto h) TIDE_INLINE_LAMBDA {
        acc[h * 4 + p] = hn::MulAdd(hn::Load(d, q + h * pitch), first, acc[h * 4 + p]);
        acc[h * 4 + p] = hn::MulAdd(hn::Load(d, q + h * pitch + kLanes), second, acc[h * 4 + p]);
      });
    });
  }
  if (steps.rest > 0) {
    const float* q = query + steps.whole * kStep;
    unrolled<4>([&](auto p) TIDE_INLINE_LAMBDA {
      const Raw* k = reinterpret_cast<const Raw*>(row[p]) + steps.whole * kStep;
      V first, second;
      load_rest<T>(k, steps.rest, first, second);
      unrolled<kHeads>([&](auto h) TIDE_INLINE_LAMBDA {
        acc[h * 4 + p] = hn::MulAdd(hn::Load(d, q + h * pitch), first, acc[h * 4 + p]);
        acc[h * 4 + p] = hn::MulAdd(hn::Load(d, q + h * pitch + kLanes), second, acc[h * 4 + p]);
      });
    });
  }
  unrolled<kHeads>([&](auto h) TIDE_INLINE_LAMBDA {
    const auto sums = sums_of_lanes(acc[h * 4], acc[h * 4 + 1], acc[h * 4 + 2], acc[h * 4 + 3]);
    hn::StoreU(hn::Mul(sums, hn::Set(d4, scale)), d4, dot + h * 4);
  });
}

/// Scores of one block for kHeads heads. score: [kHeads, stride].
template <typename T, std::size_t kHeads>
HWY_NOINLINE void score_block(const Steps& steps, const float* query, const Rows& rows, float scale,
                              float* score, std::size_t stride) {
  for (std::size_t i = 0; i < rows.n; i += 4) {
    float dot[kHeads * 4];
    if (i % kAhead == 0) rows.prefetch(i, kAhead, 0, rows.bytes);
    dots<T, kHeads>(steps, query, rows.row + i, scale, dot);
    const std::size_t real = std::min<std::size_t>(4, rows.n - i);
    for (std::size_t h = 0; h < kHeads; ++h) {
      float* to = score + h * stride + i;
      real == 4 ? std::memcpy(to, dot + h * 4, 4 * sizeof(float))
                : std::memcpy(to, dot + h * 4, real * sizeof(float));
    }
  }
}

/// out[h, at .. + kTile steps] += weight[h, p] * row[p] for the block's rows, in order of p. kRest: one
/// short step of `rest` elements.
template <typename T, std::size_t kHeads, std::size_t kTile, bool kRest = false>
HWY_NOINLINE void weigh_block(const Rows& rows, std::size_t at, std::size_t rest, const float* weight,
                              float* out, std::size_t pitch) {
  static_assert(kTile == 1 || !kRest);
  constexpr std::size_t kVectors = 2 * kTile;
  using Raw = typename T::Raw;
  const F d;
  V acc[kHeads * kVectors];  // [head, vector]
  unrolled<kHeads * kVectors>([&](auto i) TIDE_INLINE_LAMBDA {
    acc[i] = hn::Load(d, out + i / kVectors * pitch + at + i % kVectors * kLanes);
  });
  for (std::size_t p = 0; p < rows.n; ++p) {
    const Raw* v = reinterpret_cast<const Raw*>(rows.row[p]) + at;
    if (p % kAhead == 0) rows.prefetch(p, kAhead, at * sizeof(Raw), (at + kTile * kStep) * sizeof(Raw));
    unrolled<kTile>([&](auto s) TIDE_INLINE_LAMBDA {
      V first, second;
      if constexpr (kRest) {
        load_rest<T>(v, rest, first, second);
      } else {
        first = load_first<T>(v + s * kStep);
        second = load_second<T>(v + s * kStep);
      }
      unrolled<kHeads>([&](auto h) TIDE_INLINE_LAMBDA {
        const V w = hn::Set(d, weight[h * kBlock + p]);
        acc[h * kVectors + 2 * s] = hn::MulAdd(w, first, acc[h * kVectors + 2 * s]);
        acc[h * kVectors + 2 * s + 1] = hn::MulAdd(w, second, acc[h * kVectors + 2 * s + 1]);
      });
      // The next step loads its weights again: kept, they would push an accumulator out of the registers.
      HWY_FENCE;
    });
  }
  unrolled<kHeads * kVectors>([&](auto i) TIDE_INLINE_LAMBDA {
    hn::Store(acc[i], d, out + i / kVectors * pitch + at + i % kVectors * kLanes);
  });
}

/// Calls fn(first, std::integral_constant<std::size_t, H>) over tiles of at most kMaxHeads heads, as even as
/// can be.
template <typename Fn>
HWY_INLINE void for_each_head_tile(int n_heads, const Fn& fn) {
  for (int h = 0, tiles = (n_heads + kMaxHeads - 1) / kMaxHeads; tiles > 0; --tiles) {
    const int heads = (n_heads - h + tiles - 1) / tiles;
    switch (heads) {
      case 1:
        fn(h, std::integral_constant<std::size_t, 1>());
        break;
      case 2:
        fn(h, std::integral_constant<std::size_t, 2>());
        break;
      case 3:
        fn(h, std::integral_constant<std::size_t, 3>());
        break;
      default:
        fn(h, std::integral_constant<std::size_t, kMaxHeads>());
    }
    h += heads;
  }
}

/// Largest of n scores.
float peak_of(const float* score, std::size_t n) {
  const F d;
  V peak = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) peak = hn::Max(peak, hn::LoadU(d, score + i));
  float largest = hn::GetLane(hn::MaxOfLanes(d, peak));
  for (; i < n; ++i) largest = std::max(largest, score[i]);
  return largest;
}

/// weight[p] = exp(score[p] - peak) for one block, zeros behind n; adds them to `sum` lane by lane.
HWY_INLINE void exp_block(const float* score, std::size_t n, float peak, float* weight, float* sum) {
  const F d;
  const V shift = hn::Set(d, peak);
  V total = hn::Load(d, sum);
  for (std::size_t i = 0; i < n; i += kLanes) {
    V e;
    if (i + kLanes <= n) {
      e = exp_of_low(hn::Sub(hn::LoadU(d, score + i), shift));
    } else {
      const auto real = hn::FirstN(d, n - i);
      e = hn::IfThenElseZero(real, exp_of_low(hn::Sub(load_partial<F32>(score + i, n - i), shift)));
    }
    hn::Store(e, d, weight + i);
    total = hn::Add(total, e);
  }
  hn::Store(total, d, sum);
}

/// One span's buffers, a thread's own.
struct Buffers {
  float* query;   // [n_heads, padded]
  float* out;     // [n_heads, padded]
  float* weight;  // [n_heads, kBlock]
  float* sum;     // [n_heads, kLanes]
  float* score;   // [n_heads, stride]
  std::size_t stride;
};

Buffers take_buffers(const AttentionSpan& span, const Steps& steps) {
  thread_local Scratch<float> scratch;
  const std::size_t heads = static_cast<std::size_t>(span.n_heads);
  const std::size_t count = static_cast<std::size_t>(span.count);
  const std::size_t fixed = 2 * steps.padded() + kBlock + kLanes;
  float* at = scratch.get(heads * (fixed + (span.score ? 0 : count)));
  Buffers b;
  b.query = at;
  b.out = b.query + heads * steps.padded();
  b.weight = b.out + heads * steps.padded();
  b.sum = b.weight + heads * kBlock;
  b.score = span.score ? span.score : b.sum + heads * kLanes;
  b.stride = span.score ? static_cast<std::size_t>(span.score_stride) : count;
  return b;
}

/// Pass 1: scores and peaks.
template <typename T>
void score_span(const AttentionSpan& span, const Steps& steps, const RowFinder& k_rows,
                const RowFinder& v_rows, const Buffers& b) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(span.kv->head_dim));
  for_each_block(k_rows, false, span.out ? &v_rows : nullptr, [&](std::size_t block, Rows rows) {
    for_each_head_tile(span.n_heads, [&](int h, auto heads) {
      const std::size_t first = static_cast<std::size_t>(h);
      score_block<T, heads()>(steps, b.query + first * steps.padded(), rows, scale,
                              b.score + first * b.stride + block * kBlock, b.stride);
      rows.n_ahead = 0;  // asked for by the first tile
    });
  });
  for (std::size_t h = 0; h < static_cast<std::size_t>(span.n_heads); ++h) {
    span.peak[h] = peak_of(b.score + h * b.stride, static_cast<std::size_t>(span.count));
  }
}

/// One block of pass 2: weights in, V rows added up.
template <typename T>
HWY_INLINE void weigh_heads(const AttentionSpan& span, const Steps& steps, Rows rows, const Buffers& b) {
  const std::size_t pitch = steps.padded();
  for_each_head_tile(span.n_heads, [&](int h, auto heads) {
    constexpr std::size_t kHeads = heads();
    const float* weight = b.weight + static_cast<std::size_t>(h) * kBlock;
    float* out = b.out + static_cast<std::size_t>(h) * pitch;
    std::size_t s = 0;
    for (; s + kTileSteps <= steps.whole; s += kTileSteps) {
      weigh_block<T, kHeads, kTileSteps>(rows, s * kStep, 0, weight, out, pitch);
    }
    for (; s < steps.whole; ++s) weigh_block<T, kHeads, 1>(rows, s * kStep, 0, weight, out, pitch);
    if (steps.rest > 0) weigh_block<T, kHeads, 1, true>(rows, s * kStep, steps.rest, weight, out, pitch);
    rows.n_ahead = 0;  // asked for by the first heads, each of whose tiles asks for its own part of a row
  });
}

/// Pass 2: exp, its sum, and the weighted sum of V where it is asked for.
template <typename T>
void weigh_span(const AttentionSpan& span, const Steps& steps, const RowFinder& v_rows, const Buffers& b) {
  const F d;
  const std::size_t heads = static_cast<std::size_t>(span.n_heads);
  std::fill(b.sum, b.sum + heads * kLanes, 0.0f);
  const auto exp_heads = [&](std::size_t block, std::size_t n) {
    for (std::size_t h = 0; h < heads; ++h) {
      exp_block(b.score + h * b.stride + block * kBlock, n, span.peak[h], b.weight + h * kBlock,
                b.sum + h * kLanes);
    }
  };
  if (span.out) {
    std::fill(b.out, b.out + heads * steps.padded(), 0.0f);
    for_each_block(v_rows, true, nullptr, [&](std::size_t block, const Rows& rows) {
      exp_heads(block, rows.n);
      weigh_heads<T>(span, steps, rows, b);
    });
  } else {
    const std::size_t count = static_cast<std::size_t>(span.count);
    for (std::size_t block = 0; block * kBlock < count; ++block) {
      exp_heads(block, std::min(kBlock, count - block * kBlock));
    }
  }
  for (std::size_t h = 0; h < heads; ++h) {
    span.sum[h] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, b.sum + h * kLanes)));
  }
}

void attend_span(const AttentionSpan& span) {
  const std::size_t head_dim = static_cast<std::size_t>(span.kv->head_dim);
  const Steps steps{head_dim / kStep, head_dim % kStep};
  const Buffers b = take_buffers(span, steps);
  const std::size_t heads = static_cast<std::size_t>(span.n_heads);
  for (std::size_t h = 0; h < heads; ++h) {
    pack_steps(span.kv->dtype, span.query + h * head_dim, head_dim, b.query + h * steps.padded());
  }
  const RowFinder k_rows(span, false), v_rows(span, true);
  with_type(span.kv->dtype, [&](auto type) {
    using T = decltype(type);
    score_span<T>(span, steps, k_rows, v_rows, b);
    weigh_span<T>(span, steps, v_rows, b);
  });
  if (!span.out) return;
  for (std::size_t h = 0; h < heads; ++h) {
    unpack_steps(span.kv->dtype, b.out + h * steps.padded(), head_dim, span.out + h * head_dim);
  }
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {
HWY_EXPORT(attend_span);
}

void attend_span(const AttentionSpan& span) { HWY_DYNAMIC_DISPATCH(attend_span)(span); }

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
