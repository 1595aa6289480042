#include "kernels/cpu/prefill_bf16.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/float16.h"
#include "kernels/cpu/scratch.h"

#define TIDE_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace tide::kernels::cpu {

namespace {

constexpr std::size_t kLanes = 16, kTileRows = 6, kTileVectors = 4, kBlock = 64;

/// A pair of neighbouring factors, multiplied and added in one instruction.
using Pair = std::uint32_t;

/// c[kTileRows, kTileVectors * 16] (+)= a[kTileRows, n] * b[n, …], n counted in pairs.
template <bool kAdd>
TIDE_BF16 inline void multiply_tile(const Pair* a, std::size_t a_stride, const Pair* b, std::size_t b_stride,
                                    std::size_t n, float* c, std::size_t c_stride) {
  __m512 acc[kTileRows][kTileVectors];
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t v = 0; v < kTileVectors; ++v) {
      acc[r][v] = kAdd ? _mm512_loadu_ps(c + r * c_stride + v * kLanes) : _mm512_setzero_ps();
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    __m512bh column[kTileVectors];
    for (std::size_t v = 0; v < kTileVectors; ++v) {
      column[v] = (__m512bh)_mm512_loadu_si512(b + i * b_stride + v * kLanes);
    }
    for (std::size_t r = 0; r < kTileRows; ++r) {
      const __m512bh factor = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * a_stride + i]));
      for (std::size_t v = 0; v < kTileVectors; ++v)
        acc[r][v] = _mm512_dpbf16_ps(acc[r][v], factor, column[v]);
    }
  }
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t v = 0; v < kTileVectors; ++v) _mm512_storeu_ps(c + r * c_stride + v * kLanes, acc[r][v]);
  }
}

/// c[rows, columns] (+)= a[rows, n] * b[n, columns]; columns a multiple of 64.
template <bool kAdd>
TIDE_BF16 void multiply(const Pair* a, std::size_t rows, std::size_t n, const Pair* b, std::size_t columns,
                        float* c) {
  for (std::size_t column = 0; column < columns; column += kTileVectors * kLanes) {
    for (std::size_t r = 0; r < rows; r += kTileRows) {
      multiply_tile<kAdd>(a + r * n, n, b + column, columns, n, c + r * columns + column, columns);
    }
  }
}

/// exp of x <= 0 within 2 units in the last place; 0 below -87.3. The same polynomial as the fp32 kernels'.
TIDE_BF16 inline __m512 exp(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860682e-6f), r);
  __m512 p = _mm512_set1_ps(1.0f / 5040);
  for (const float term : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(term));
  }
  const __mmask16 in_range = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.33654f), _CMP_GE_OQ);
  return _mm512_maskz_scalef_ps(in_range, p, n);
}

class Task {
 public:
  explicit Task(const PrefillRows& rows)
      : rows_(rows),
        head_dim_(rows.head_dim),
        padded_dim_((head_dim_ + 63) / 64 * 64),
        padded_rows_((rows.count + kTileRows - 1) / kTileRows * kTileRows) {
    static thread_local Scratch<float> floats;
    static thread_local Scratch<Pair> pairs;
    score_ = floats.get(padded_rows_ * (kBlock + padded_dim_ + 2));
    out_ = score_ + padded_rows_ * kBlock;
    peak_ = out_ + padded_rows_ * padded_dim_;
    total_ = peak_ + padded_rows_;
    query_ = pairs.get(padded_rows_ * (head_dim_ / 2 + kBlock / 2) + kBlock * head_dim_ / 2 +
                       kBlock / 2 * padded_dim_);
    weight_ = query_ + padded_rows_ * (head_dim_ / 2);
    keys_ = weight_ + padded_rows_ * (kBlock / 2);
    values_ = keys_ + kBlock * (head_dim_ / 2);
  }

  TIDE_BF16 void run() {
    begin();
    const std::size_t n_keys = rows_.n_keys();
    for (std::size_t key = rows_.first_key(0) / kBlock * kBlock; key < n_keys; key += kBlock) {
      pack(key, std::min(kBlock, n_keys - key));
      multiply<false>(query_, padded_rows_, head_dim_ / 2, keys_, kBlock, score_);
      for (std::size_t r = 0; r < rows_.count; ++r) weigh(r, key);
      multiply<true>(weight_, padded_rows_, kBlock / 2, values_, padded_dim_, out_);
    }
    finish();
  }

 private:
  void begin() {
    std::fill_n(query_, padded_rows_ * (head_dim_ / 2), 0u);
    std::fill_n(weight_, padded_rows_ * (kBlock / 2), 0u);
    for (std::size_t r = 0; r < rows_.count; ++r) {
      const float* from = rows_.query(r);
      for (std::size_t i = 0; i < head_dim_ / 2; ++i) {
        query_[r * (head_dim_ / 2) + i] =
            pair(float_to_bfloat16(from[2 * i]), float_to_bfloat16(from[2 * i + 1]));
      }
    }
    std::fill_n(out_, padded_rows_ * padded_dim_, 0.0f);
    std::fill_n(peak_, padded_rows_, -std::numeric_limits<float>::infinity());
    std::fill_n(total_, padded_rows_, 0.0f);
  }

  static Pair pair(std::uint16_t low, std::uint16_t high) { return low | static_cast<Pair>(high) << 16; }

  const std::uint16_t* row(const void* KvSegment::*rows, std::size_t at) const {
    return rows_.cached<std::uint16_t>(rows, at);
  }

  /// keys_[pair of channels, key] and values_[pair of keys, channel]; zeros behind `count` keys.
  void pack(std::size_t key, std::size_t count) {
    if (count < kBlock) std::fill_n(keys_, kBlock * (head_dim_ / 2), 0u);
    for (std::size_t j = 0; j < count; ++j) {
      const std::uint16_t* from = row(&KvSegment::k, key + j);
      for (std::size_t i = 0; i < head_dim_ / 2; ++i)
        keys_[i * kBlock + j] = pair(from[2 * i], from[2 * i + 1]);
    }
    for (std::size_t j = 0; j < kBlock; j += 2) {
      Pair* to = values_ + j / 2 * padded_dim_;
      if (j >= count) {
        std::fill_n(to, padded_dim_, 0u);
        continue;
      }
      const std::uint16_t* even = row(&KvSegment::v, key + j);
      const std::uint16_t* odd = j + 1 < count ? row(&KvSegment::v, key + j + 1) : nullptr;
      for (std::size_t i = 0; i < head_dim_; ++i)
        to[i] = pair(even[i], odd == nullptr ? std::uint16_t{0} : odd[i]);
      std::fill(to + head_dim_, to + padded_dim_, 0u);
    }
  }

  /// Scores of one row and block become bf16 weights under the running peak.
  TIDE_BF16 void weigh(std::size_t r, std::size_t key) {
    float* score = score_ + r * kBlock;
    Pair* weight = weight_ + r * (kBlock / 2);
    const std::size_t first = rows_.first_key(r), readable = rows_.readable(r);
    if (readable <= key || first >= key + kBlock) {
      std::fill_n(weight, kBlock / 2, 0u);
      return;
    }
    if (first > key) std::fill(score, score + (first - key), -std::numeric_limits<float>::infinity());
    if (key + kBlock > readable) {
      std::fill(score + (readable - key), score + kBlock, -std::numeric_limits<float>::infinity());
    }
    const __m512 scale = _mm512_set1_ps(1.0f / std::sqrt(static_cast<float>(head_dim_)));
    __m512 scaled[kBlock / kLanes];
    __m512 largest = _mm512_set1_ps(peak_[r]);
    for (std::size_t v = 0; v < kBlock / kLanes; ++v) {
      scaled[v] = _mm512_mul_ps(_mm512_loadu_ps(score + v * kLanes), scale);
      largest = _mm512_max_ps(largest, scaled[v]);
    }
    const float peak = _mm512_reduce_max_ps(largest);
    if (peak > peak_[r]) shrink(r, peak);
    __m512 sum = _mm512_setzero_ps();
    for (std::size_t v = 0; v < kBlock / kLanes; v += 2) {
      const __m512 low = exp(_mm512_sub_ps(scaled[v], _mm512_set1_ps(peak)));
      const __m512 high = exp(_mm512_sub_ps(scaled[v + 1], _mm512_set1_ps(peak)));
      sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
      _mm512_storeu_si512(weight + v * kLanes / 2, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    total_[r] += _mm512_reduce_add_ps(sum);
  }

  TIDE_BF16 void shrink(std::size_t r, float peak) {
    const float factor = std::exp(peak_[r] - peak);  // 0 for the first block
    float* out = out_ + r * padded_dim_;
    for (std::size_t i = 0; i < padded_dim_; i += kLanes) {
      _mm512_storeu_ps(out + i, _mm512_mul_ps(_mm512_loadu_ps(out + i), _mm512_set1_ps(factor)));
    }
    total_[r] *= factor;
    peak_[r] = peak;
  }

  void finish() {
    for (std::size_t r = 0; r < rows_.count; ++r) {
      const float* from = out_ + r * padded_dim_;
      const float scale = 1.0f / total_[r];
      std::transform(from, from + head_dim_, rows_.out(r), [&](float o) { return o * scale; });
    }
  }

  const PrefillRows rows_;
  std::size_t head_dim_, padded_dim_, padded_rows_;
  float *score_, *out_;    // [rows, kBlock], [rows, padded_dim]
  float *peak_, *total_;   // [rows]: largest score and sum of weights so far
  Pair *query_, *weight_;  // [rows, head_dim / 2], [rows, kBlock / 2]
  Pair *keys_, *values_;   // [head_dim / 2, kBlock], [kBlock / 2, padded_dim]
};

}  // namespace

bool has_bf16_dot_products() {
  static const bool present = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return present;
}

bool has_prefill_bf16(const PrefillAttention& args) {
  return has_bf16_dot_products() && args.kv.dtype == DType::bf16 && args.kv.head_dim % 2 == 0;
}

void prefill_bf16_task(const PrefillRows& rows) { Task(rows).run(); }

}  // namespace tide::kernels::cpu

#else

namespace tide::kernels::cpu {

bool has_bf16_dot_products() { return false; }
bool has_prefill_bf16(const PrefillAttention&) { return false; }
void prefill_bf16_task(const PrefillRows&) {}

}  // namespace tide::kernels::cpu

#endif
