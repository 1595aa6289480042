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

constexpr int kMaxHeads = kLanes >= 16 ? 4 : 2;  // heads a register tile
constexpr std::size_t kMaxChunks = 4;            // vectors of a V row a register tile

/// A row's layout in vectors. The last chunk of an odd head_dim is shorter than a vector.
struct Chunks {
  std::size_t whole, rest;
  std::size_t padded() const { return (whole + (rest ? 1 : 0)) * kLanes; }
};

/// Dot products of kHeads queries with four rows, times `scale`, into dot[head * 4 ..].
template <typename T, int kHeads>
HWY_INLINE void dots(const Chunks& chunks, const float* query, const char* const* row, float scale,
                     float* dot) {
  using Raw = typename T::Raw;
  const F d;
  const hn::Full128<float> d4;
  const std::size_t pitch = chunks.padded();
  V acc[kHeads][4];
  for (int h = 0; h < kHeads; ++h) {
    for (int p = 0; p < 4; ++p) acc[h][p] = hn::Zero(d);
  }
  const auto add = [&](std::size_t at, const V(&k)[4]) HWY_ATTR {
    for (int h = 0; h < kHeads; ++h) {
      const V q = hn::Load(d, query + static_cast<std::size_t>(h) * pitch + at);
      for (int p = 0; p < 4; ++p) acc[h][p] = hn::MulAdd(q, k[p], acc[h][p]);
    }
  };
  for (std::size_t c = 0; c < chunks.whole; ++c) {
    V k[4];
    for (int p = 0; p < 4; ++p) k[p] = T::load(reinterpret_cast<const Raw*>(row[p]) + c * kLanes);
    add(c * kLanes, k);
  }
  if (chunks.rest > 0) {
    V k[4];
    const std::size_t at = chunks.whole * kLanes;
    for (int p = 0; p < 4; ++p)
      k[p] = load_partial<T>(reinterpret_cast<const Raw*>(row[p]) + at, chunks.rest);
    add(at, k);
  }
  for (int h = 0; h < kHeads; ++h) {
    const auto sums = sums_of_lanes(acc[h][0], acc[h][1], acc[h][2], acc[h][3]);
    hn::StoreU(hn::Mul(sums, hn::Set(d4, scale)), d4, dot + h * 4);
  }
}

/// Scores of one block for kHeads heads. score: [kHeads, stride].
template <typename T, int kHeads>
HWY_NOINLINE void score_block(const Chunks& chunks, const float* query, const Rows& rows, float scale,
                              float* score, std::size_t stride) {
  for (std::size_t i = 0; i < rows.n; i += 4) {
    float dot[kHeads * 4];
    if (i % kAhead == 0) rows.prefetch(i, kAhead);
    dots<T, kHeads>(chunks, query, rows.row + i, scale, dot);
    const std::size_t real = std::min<std::size_t>(4, rows.n - i);
    for (std::size_t h = 0; h < kHeads; ++h) {
      float* to = score + h * stride + i;
      real == 4 ? std::memcpy(to, dot + h * 4, 4 * sizeof(float))
                : std::memcpy(to, dot + h * 4, real * sizeof(float));
    }
  }
}

/// acc[h, 0 .. kChunks vectors] += weight[h, p] * row[p] for the block's rows, in order of p.
template <typename T, int kHeads, std::size_t kChunks>
HWY_NOINLINE void weigh_block(const Rows& rows, std::size_t at, const float* weight, float* out,
                              std::size_t pitch) {
  using Raw = typename T::Raw;
  const F d;
  V acc[kHeads][kChunks];
  for (std::size_t h = 0; h < kHeads; ++h) {
    for (std::size_t c = 0; c < kChunks; ++c) acc[h][c] = hn::Load(d, out + h * pitch + at + c * kLanes);
  }
  for (std::size_t p = 0; p < rows.n; ++p) {
    const Raw* v_row = reinterpret_cast<const Raw*>(rows.row[p]) + at;
    if (p % kAhead == 0) rows.prefetch(p, kAhead);
    V v[kChunks];
    for (std::size_t c = 0; c < kChunks; ++c) v[c] = T::load(v_row + c * kLanes);
    for (std::size_t h = 0; h < kHeads; ++h) {
      const V w = hn::Set(d, weight[h * kBlock + p]);
      for (std::size_t c = 0; c < kChunks; ++c) acc[h][c] = hn::MulAdd(w, v[c], acc[h][c]);
    }
  }
  for (std::size_t h = 0; h < kHeads; ++h) {
    for (std::size_t c = 0; c < kChunks; ++c) hn::Store(acc[h][c], d, out + h * pitch + at + c * kLanes);
  }
}

/// The same for the last, shorter chunk of one head.
template <typename T>
void weigh_rest(const Rows& rows, std::size_t at, std::size_t rest, const float* weight, float* out) {
  const F d;
  V acc = hn::Load(d, out + at);
  for (std::size_t p = 0; p < rows.n; ++p) {
    const V v = load_partial<T>(reinterpret_cast<const typename T::Raw*>(rows.row[p]) + at, rest);
    acc = hn::MulAdd(hn::Set(d, weight[p]), v, acc);
  }
  hn::Store(acc, d, out + at);
}

/// Calls fn(first, std::integral_constant<int, H>) over tiles of at most kMaxHeads heads.
template <typename Fn>
HWY_INLINE void for_each_head_tile(int n_heads, const Fn& fn) {
  int h = 0;
  for (; h + kMaxHeads <= n_heads; h += kMaxHeads) fn(h, std::integral_constant<int, kMaxHeads>());
  switch (n_heads - h) {
    case 1:
      return fn(h, std::integral_constant<int, 1>());
    case 2:
      return fn(h, std::integral_constant<int, 2>());
    case 3:
      return fn(h, std::integral_constant<int, 3>());
    default:
      return;
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
      e = exp(hn::Sub(hn::LoadU(d, score + i), shift));
    } else {
      const auto real = hn::FirstN(d, n - i);
      e = hn::IfThenElseZero(real, exp(hn::Sub(load_partial<F32>(score + i, n - i), shift)));
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

Buffers take_buffers(const AttentionSpan& span, const Chunks& chunks) {
  thread_local Scratch<float> scratch;
  const std::size_t heads = static_cast<std::size_t>(span.n_heads);
  const std::size_t count = static_cast<std::size_t>(span.count);
  const std::size_t fixed = 2 * chunks.padded() + kBlock + kLanes;
  float* at = scratch.get(heads * (fixed + (span.score ? 0 : count)));
  Buffers b;
  b.query = at;
  b.out = b.query + heads * chunks.padded();
  b.weight = b.out + heads * chunks.padded();
  b.sum = b.weight + heads * kBlock;
  b.score = span.score ? span.score : b.sum + heads * kLanes;
  b.stride = span.score ? static_cast<std::size_t>(span.score_stride) : count;
  return b;
}

/// Pass 1: scores and peaks.
template <typename T>
void score_span(const AttentionSpan& span, const Chunks& chunks, const RowFinder& k_rows,
                const RowFinder& v_rows, const Buffers& b) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(span.kv->head_dim));
  for_each_block(k_rows, false, span.out ? &v_rows : nullptr, [&](std::size_t block, Rows rows) {
    for_each_head_tile(span.n_heads, [&](int h, auto heads) {
      const std::size_t first = static_cast<std::size_t>(h);
      score_block<T, heads()>(chunks, b.query + first * chunks.padded(), rows, scale,
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
HWY_INLINE void weigh_heads(const AttentionSpan& span, const Chunks& chunks, Rows rows, const Buffers& b) {
  const std::size_t pitch = chunks.padded();
  for_each_head_tile(span.n_heads, [&](int h, auto heads) {
    constexpr int kHeads = heads();
    const float* weight = b.weight + static_cast<std::size_t>(h) * kBlock;
    float* out = b.out + static_cast<std::size_t>(h) * pitch;
    std::size_t c = 0;
    for (; c + kMaxChunks <= chunks.whole; c += kMaxChunks) {
      weigh_block<T, kHeads, kMaxChunks>(rows, c * kLanes, weight, out, pitch);
      rows.n_ahead = 0;  // asked for by the first tile
    }
    for (; c < chunks.whole; ++c) weigh_block<T, kHeads, 1>(rows, c * kLanes, weight, out, pitch);
    if (chunks.rest == 0) return;
    for (std::size_t i = 0; i < kHeads; ++i) {
      weigh_rest<T>(rows, c * kLanes, chunks.rest, weight + i * kBlock, out + i * pitch);
    }
  });
}

/// Pass 2: exp, its sum, and the weighted sum of V where it is asked for.
template <typename T>
void weigh_span(const AttentionSpan& span, const Chunks& chunks, const RowFinder& v_rows, const Buffers& b) {
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
    std::fill(b.out, b.out + heads * chunks.padded(), 0.0f);
    for_each_block(v_rows, true, nullptr, [&](std::size_t block, const Rows& rows) {
      exp_heads(block, rows.n);
      weigh_heads<T>(span, chunks, rows, b);
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
  const Chunks chunks{head_dim / kLanes, head_dim % kLanes};
  const Buffers b = take_buffers(span, chunks);
  const std::size_t heads = static_cast<std::size_t>(span.n_heads);
  for (std::size_t h = 0; h < heads; ++h) {
    float* query = b.query + h * chunks.padded();
    std::fill(std::copy_n(span.query + h * head_dim, head_dim, query), query + chunks.padded(), 0.0f);
  }
  const RowFinder k_rows(span, false), v_rows(span, true);
  with_type(span.kv->dtype, [&](auto type) {
    using T = decltype(type);
    score_span<T>(span, chunks, k_rows, v_rows, b);
    weigh_span<T>(span, chunks, v_rows, b);
  });
  if (!span.out) return;
  for (std::size_t h = 0; h < heads; ++h) {
    std::copy_n(b.out + h * chunks.padded(), head_dim, span.out + h * head_dim);
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
