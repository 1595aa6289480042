#include "kernels/prefill_attention.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/cache.h"

namespace tide::kernels::test {
namespace {

class PrefillKernel : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(PrefillKernel);

/// Factors rounded to bf16 have eight bits: products of order 1 are off by some 2^-8.
constexpr Tolerance kLowPrecision{2e-2, 2e-2};

/// Query rows at positions first .. of a prompt, with room behind each row that must not be read.
struct Chunk {
  Chunk(Random& random, int n_heads, int head_dim, std::int64_t first_position, std::int64_t rows)
      : heads(n_heads), dim(head_dim), first(first_position), n_rows(rows), stride(n_heads * head_dim + 5) {
    query.assign(static_cast<std::size_t>(n_rows * stride), std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t r = 0; r < n_rows; ++r) {
      for (std::int64_t i = 0; i < heads * dim; ++i)
        query[static_cast<std::size_t>(r * stride + i)] = random.normal();
    }
  }

  /// Attention of rows begin .. end - 1.
  std::vector<float> run(void (*kernel)(const PrefillAttention&, ThreadPool&), const KvView& kv,
                         ThreadPool& pool, std::int64_t begin, std::int64_t end, bool low_precision,
                         std::int64_t window = 0) const {
    std::vector<float> out(static_cast<std::size_t>((end - begin) * heads * dim), -1.0f);
    kernel({query.data() + begin * stride, stride, kv, first + begin, end - begin, heads, out.data(),
            low_precision, window},
           pool);
    return out;
  }

  int heads, dim;
  std::int64_t first, n_rows, stride;
  std::vector<float> query;
};

std::string text(DType dtype, int head_dim, int group_size, std::int64_t first, std::int64_t n_rows) {
  return std::string(name_of(dtype)) + " head_dim " + std::to_string(head_dim) + " group " +
         std::to_string(group_size) + " first " + std::to_string(first) + " rows " + std::to_string(n_rows);
}

TEST_P(PrefillKernel, MatchesTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(2);
  Random random;
  for (const DType dtype : kDTypes) {
    for (const int head_dim : {8, 64, 72, 80, 128}) {
      for (const int group_size : {1, 3, 7}) {
        if (group_size == 7 && head_dim != 64) continue;
        for (const std::int64_t first : {0, 1, 63, 97}) {
          for (const std::int64_t n_rows : {1, 5, 6, 7, 65}) {
            const Cache cache(random, dtype, 2, head_dim, first + n_rows, (first + n_rows) / 2);
            const Chunk chunk(random, 2 * group_size, head_dim, first, n_rows);
            const std::string what = text(dtype, head_dim, group_size, first, n_rows);
            const auto want = chunk.run(reference::prefill_attention, cache.view(), pool, 0, n_rows, false);
            expect_near(chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, false), want,
                        tolerance(dtype), what);
            expect_near(chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, true), want,
                        kLowPrecision, what + " low precision");
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(PrefillKernel, ALaterPositionIsNeverRead) {
  // Position p holds V = p; K is 0, so row r gives the mean of 0 .. r. Positions after the chunk are NaN.
  const std::int64_t n_rows = 70;
  std::vector<float> k(static_cast<std::size_t>((n_rows + 10) * 64), 0.0f), v(k.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const bool later = i / 64 >= static_cast<std::size_t>(n_rows);
    v[i] = later ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(i / 64);
    if (later) k[i] = v[i];
  }
  ThreadPool pool(1);
  Random random(1);
  const Cache cache(k, v, DType::bf16, 1, 64, n_rows + 10, 33);
  const Chunk chunk(random, 1, 64, 0, n_rows);
  for (const bool low_precision : {false, true}) {
    const auto got = chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, low_precision);
    for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
      EXPECT_NEAR(got[r * 64], static_cast<float>(r) / 2, 0.01f * static_cast<float>(r) + 1e-6f)
          << "row " << r;
    }
  }
}

TEST_P(PrefillKernel, BitsDependOnNeitherChunksNorThreads) {
  Random random(2);
  const std::int64_t n_rows = 411;
  const Cache cache(random, DType::bf16, 3, 64, n_rows, n_rows);
  const Chunk chunk(random, 9, 64, 0, n_rows);
  for (const bool low_precision : {false, true}) {
    ThreadPool one(1);
    const auto want = chunk.run(cpu::prefill_attention, cache.view(), one, 0, n_rows, low_precision);
    for (const int threads : {2, 5}) {
      ThreadPool pool(threads);
      expect_same_bits(chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, low_precision), want,
                       std::to_string(threads) + " threads");
    }
    for (const std::int64_t step : {1, 7, 64, 200}) {
      std::vector<float> parts;
      for (std::int64_t r = 0; r < n_rows; r += step) {
        const auto part = chunk.run(cpu::prefill_attention, cache.view(), one, r, std::min(n_rows, r + step),
                                    low_precision);
        parts.insert(parts.end(), part.begin(), part.end());
      }
      expect_same_bits(parts, want,
                       "chunks of " + std::to_string(step) + (low_precision ? ", low precision" : ""));
    }
  }
}

TEST_P(PrefillKernel, WindowsMatchTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(2);
  Random random(3);
  for (const std::int64_t window : {1, 2, 31, 63, 64, 65, 97, 128, 300}) {
    for (const std::int64_t first : {0, 1, 63, 130, 259}) {
      for (const std::int64_t n_rows : {1, 7, 65, 200}) {
        const Cache cache(random, DType::bf16, 2, 72, first + n_rows, (first + n_rows) / 2);
        const Chunk chunk(random, 6, 72, first, n_rows);
        const std::string what =
            text(DType::bf16, 72, 3, first, n_rows) + " window " + std::to_string(window);
        const auto want =
            chunk.run(reference::prefill_attention, cache.view(), pool, 0, n_rows, false, window);
        expect_near(chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, false, window), want,
                    tolerance(DType::bf16), what);
        expect_near(chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, true, window), want,
                    kLowPrecision, what + " low precision");
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(PrefillKernel, APositionBeforeTheWindowIsNeverRead) {
  // Position p holds V = p; K is 0, so row r gives the mean of its window. A row that begins a chunk far from
  // the sequence's begin must not touch what lies before: there stands NaN.
  const std::int64_t window = 70, first = 333, n_rows = 30, length = first + n_rows;
  std::vector<float> k(static_cast<std::size_t>(length * 64), 0.0f), v(k.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const bool outside = i / 64 < static_cast<std::size_t>(first / 64 * 64 - 128);
    v[i] = outside ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(i / 64);
    if (outside) k[i] = v[i];
  }
  ThreadPool pool(1);
  Random random(1);
  const Cache cache(k, v, DType::f32, 1, 64, length, 100);
  const Chunk chunk(random, 1, 64, first, n_rows);
  const auto got = chunk.run(cpu::prefill_attention, cache.view(), pool, 0, n_rows, false, window);
  for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
    const float last = static_cast<float>(first) + static_cast<float>(r);
    EXPECT_NEAR(got[r * 64], last - (window - 1) / 2.0f, 1e-3f) << "row " << r;
  }
}

TEST_P(PrefillKernel, BitsUnderAWindowDependOnNeitherChunksNorThreads) {
  Random random(2);
  const std::int64_t n_rows = 411, window = 100;
  const Cache cache(random, DType::bf16, 3, 64, n_rows, n_rows);
  const Chunk chunk(random, 9, 64, 0, n_rows);
  for (const bool low_precision : {false, true}) {
    ThreadPool one(1), five(5);
    const auto want = chunk.run(cpu::prefill_attention, cache.view(), one, 0, n_rows, low_precision, window);
    expect_same_bits(chunk.run(cpu::prefill_attention, cache.view(), five, 0, n_rows, low_precision, window),
                     want, "5 threads");
    for (const std::int64_t step : {1, 7, 64, 200}) {
      std::vector<float> parts;
      for (std::int64_t r = 0; r < n_rows; r += step) {
        const auto part = chunk.run(cpu::prefill_attention, cache.view(), one, r, std::min(n_rows, r + step),
                                    low_precision, window);
        parts.insert(parts.end(), part.begin(), part.end());
      }
      expect_same_bits(parts, want, "chunks of " + std::to_string(step));
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
