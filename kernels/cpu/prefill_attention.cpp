// Blocked causal attention. One task is one KV head and a run of query positions with every query head
// of the group, so that a block of K and V is unpacked once for all of them.

#include "kernels/prefill_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/prefill_bf16.h"
#include "kernels/cpu/scratch.h"
#include "kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/prefill_attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = kLanes >= 16 ? 4 : 2;  // accumulators that fit the registers
constexpr std::size_t kBlock = 64;                          // keys unpacked at once
constexpr std::size_t kMaxRows = 192;                       // query rows of a task, at most

/// c[kTileRows, kVectors * kLanes] (+)= a[kTileRows, n] * b[n, …]; strides in elements.
template <std::size_t kVectors, bool kAdd>
HWY_INLINE void multiply_tile(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride,
                              std::size_t n, float* c, std::size_t c_stride) {
  const F d;
  V acc[kTileRows][kVectors];
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc[r][v] = kAdd ? hn::LoadU(d, c + r * c_stride + v * kLanes) : hn::Zero(d);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    V column[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) column[v] = hn::LoadU(d, b + i * b_stride + v * kLanes);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const V factor = hn::Set(d, a[r * a_stride + i]);
      for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(factor, column[v], acc[r][v]);
    }
  }
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(acc[r][v], d, c + r * c_stride + v * kLanes);
  }
}

/// c[rows, columns] (+)= a[rows, n] * b[n, columns]; rows a multiple of kTileRows, columns of kLanes.
template <bool kAdd>
void multiply(const float* a, std::size_t rows, std::size_t n, const float* b, std::size_t columns,
              float* c) {
  constexpr std::size_t kWide = kTileVectors * kLanes;
  std::size_t column = 0;
  for (; column + kWide <= columns; column += kWide) {
    for (std::size_t r = 0; r < rows; r += kTileRows) {
      multiply_tile<kTileVectors, kAdd>(a + r * n, n, b + column, columns, n, c + r * columns + column,
                                        columns);
    }
  }
  for (; column < columns; column += kLanes) {
    for (std::size_t r = 0; r < rows; r += kTileRows) {
      multiply_tile<1, kAdd>(a + r * n, n, b + column, columns, n, c + r * columns + column, columns);
    }
  }
}

/// The working memory of one task.
struct Work {
  float* query;    // [rows, head_dim], scaled
  float* keys;     // [head_dim, kBlock]: transposed
  float* values;   // [kBlock, padded_dim]
  float* score;    // [rows, kBlock], then weights
  float* out;      // [rows, padded_dim]
  float* peak;     // [rows]: largest score so far
  float* total;    // [rows]: sum of weights so far
  float* rescale;  // [kBlock]: one row of K on its way
};

class Task {
 public:
  Task(const PrefillAttention& args, std::size_t kv_head, std::size_t first_row, std::size_t n_positions)
      : args_(args),
        kv_head_(kv_head),
        first_row_(first_row),
        group_(static_cast<std::size_t>(args.n_heads / args.kv.n_kv_heads)),
        head_dim_(static_cast<std::size_t>(args.kv.head_dim)),
        padded_dim_((head_dim_ + kLanes - 1) / kLanes * kLanes),
        rows_(n_positions * group_),
        padded_rows_((rows_ + kTileRows - 1) / kTileRows * kTileRows) {
    static thread_local Scratch<float> scratch;
    const std::size_t sizes[] = {
        padded_rows_ * head_dim_,   head_dim_ * kBlock, kBlock * padded_dim_, padded_rows_ * kBlock,
        padded_rows_ * padded_dim_, padded_rows_,       padded_rows_,         padded_dim_};
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += (size + 15) / 16 * 16;
    float* at = scratch.get(total);
    float** parts[] = {&work_.query, &work_.keys, &work_.values, &work_.score,
                       &work_.out,   &work_.peak, &work_.total,  &work_.rescale};
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      *parts[i] = at;
      at += (sizes[i] + 15) / 16 * 16;
    }
  }

  void run() {
    begin();
    const std::size_t last = static_cast<std::size_t>(args_.first) + first_row_ + rows_ / group_;
    for (std::size_t key = 0; key < last; key += kBlock) {
      const std::size_t count = std::min(kBlock, last - key);
      with_type(args_.kv.dtype, [&](auto type) { unpack<decltype(type)>(key, count); });
      multiply<false>(work_.query, padded_rows_, head_dim_, work_.keys, kBlock, work_.score);
      for (std::size_t r = 0; r < rows_; ++r) weigh(r, key);
      multiply<true>(work_.score, padded_rows_, kBlock, work_.values, padded_dim_, work_.out);
    }
    finish();
  }

 private:
  std::size_t position(std::size_t row) const {
    return static_cast<std::size_t>(args_.first) + first_row_ + row / group_;
  }

  void begin() {
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim_));
    for (std::size_t r = 0; r < padded_rows_; ++r) {
      float* to = work_.query + r * head_dim_;
      if (r >= rows_) {
        std::fill_n(to, head_dim_, 0.0f);
        std::fill_n(work_.score + r * kBlock, kBlock, 0.0f);
        continue;
      }
      const float* from = args_.query +
                          static_cast<std::int64_t>(first_row_ + r / group_) * args_.query_stride +
                          (kv_head_ * group_ + r % group_) * head_dim_;
      std::transform(from, from + head_dim_, to, [&](float q) { return q * scale; });
    }
    std::fill_n(work_.out, padded_rows_ * padded_dim_, 0.0f);
    std::fill_n(work_.peak, padded_rows_, -std::numeric_limits<float>::infinity());
    std::fill_n(work_.total, padded_rows_, 0.0f);
  }

  /// K of a block transposed, V as it is, both fp32; zeros behind `count` keys.
  template <typename T>
  void unpack(std::size_t key, std::size_t count) {
    const auto* k = static_cast<const typename T::Raw*>(nullptr);
    const auto* v = k;
    for (std::size_t j = 0; j < kBlock; ++j) {
      float* value = work_.values + j * padded_dim_;
      if (j >= count) {
        std::fill_n(value, padded_dim_, 0.0f);
        for (std::size_t i = 0; i < head_dim_; ++i) work_.keys[i * kBlock + j] = 0.0f;
        continue;
      }
      locate<T>(key + j, k, v);
      load_row<T>(v, value);
      load_row<T>(k, work_.rescale);
      for (std::size_t i = 0; i < head_dim_; ++i) work_.keys[i * kBlock + j] = work_.rescale[i];
    }
  }

  template <typename T>
  void locate(std::size_t at, const typename T::Raw*& k, const typename T::Raw*& v) const {
    const KvSegment* segment = args_.kv.segment;
    if (static_cast<std::int64_t>(at) >= segment->begin + segment->count) ++segment;
    const std::int64_t offset = static_cast<std::int64_t>(kv_head_) * segment->head_stride +
                                (static_cast<std::int64_t>(at) - segment->begin) * args_.kv.head_dim;
    k = static_cast<const typename T::Raw*>(segment->k) + offset;
    v = static_cast<const typename T::Raw*>(segment->v) + offset;
  }

  template <typename T>
  void load_row(const typename T::Raw* from, float* to) const {
    std::size_t i = 0;
    for (; i + kLanes <= head_dim_; i += kLanes) F32::store(T::load(from + i), to + i);
    if (i < head_dim_) F32::store(load_partial<T>(from + i, head_dim_ - i), to + i);
  }

  /// Scores of one row and block become weights under the running peak.
  void weigh(std::size_t r, std::size_t key) {
    const F d;
    float* score = work_.score + r * kBlock;
    const std::size_t allowed = position(r) + 1;  // keys this row may read
    if (key + kBlock > allowed) {
      const std::size_t first = allowed > key ? allowed - key : 0;
      std::fill(score + first, score + kBlock, -std::numeric_limits<float>::infinity());
      if (first == 0) {
        std::fill_n(score, kBlock, 0.0f);
        return;
      }
    }
    V largest = hn::Set(d, work_.peak[r]);
    for (std::size_t j = 0; j < kBlock; j += kLanes) largest = hn::Max(largest, hn::Load(d, score + j));
    const float peak = hn::GetLane(hn::MaxOfLanes(d, largest));
    if (peak > work_.peak[r]) {
      const float shrink = std::exp(work_.peak[r] - peak);  // 0 for the first block
      float* out = work_.out + r * padded_dim_;
      for (std::size_t i = 0; i < padded_dim_; i += kLanes) {
        hn::Store(hn::Mul(hn::Load(d, out + i), hn::Set(d, shrink)), d, out + i);
      }
      work_.total[r] *= shrink;
      work_.peak[r] = peak;
    }
    V sum = hn::Zero(d);
    for (std::size_t j = 0; j < kBlock; j += kLanes) {
      const V weight = exp(hn::Sub(hn::Load(d, score + j), hn::Set(d, peak)));
      hn::Store(weight, d, score + j);
      sum = hn::Add(sum, weight);
    }
    work_.total[r] += hn::GetLane(hn::SumOfLanes(d, sum));
  }

  void finish() {
    const std::size_t row_out = static_cast<std::size_t>(args_.n_heads) * head_dim_;
    for (std::size_t r = 0; r < rows_; ++r) {
      const float* from = work_.out + r * padded_dim_;
      float* to =
          args_.out + (first_row_ + r / group_) * row_out + (kv_head_ * group_ + r % group_) * head_dim_;
      const float scale = 1.0f / work_.total[r];
      std::transform(from, from + head_dim_, to, [&](float o) { return o * scale; });
    }
  }

  const PrefillAttention& args_;
  std::size_t kv_head_, first_row_, group_, head_dim_, padded_dim_, rows_, padded_rows_;
  Work work_{};
};

void run_task(const PrefillAttention& args, std::size_t kv_head, std::size_t first_row,
              std::size_t n_positions) {
  Task(args, kv_head, first_row, n_positions).run();
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {

HWY_EXPORT(run_task);

void prefill_attention(const PrefillAttention& args, ThreadPool& pool) {
  const auto group = static_cast<std::size_t>(args.n_heads / args.kv.n_kv_heads);
  const std::size_t positions = std::max<std::size_t>(1, 192 / group);
  const auto n_rows = static_cast<std::size_t>(args.n_rows);
  const std::size_t blocks = (n_rows + positions - 1) / positions;
  const auto heads = static_cast<std::size_t>(args.kv.n_kv_heads);
  const bool bf16 = args.low_precision && has_prefill_bf16(args);
  pool.run(static_cast<std::int64_t>(blocks * heads), [&](std::int64_t index) {
    // The last blocks read the most keys: they go first, so that no thread is left with one at the end.
    const std::size_t block = blocks - 1 - static_cast<std::size_t>(index) / heads;
    const std::size_t head = static_cast<std::size_t>(index) % heads;
    const std::size_t first = block * positions;
    const std::size_t count = std::min(positions, n_rows - first);
    if (bf16) {
      prefill_bf16_task(args, head, first, count);
    } else {
      HWY_DYNAMIC_DISPATCH(run_task)(args, head, first, count);
    }
  });
}

}  // namespace tide::kernels::cpu
#endif
