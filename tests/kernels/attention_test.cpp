#include "kernels/attention.h"

#include "kernels/thread_pool.h"
#include "tests/kernels/cache.h"

namespace tide::kernels::test {
namespace {

class FullAttention : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(FullAttention);

struct Shape {
  DType dtype;
  int n_kv_heads, group_size, head_dim;
  std::int64_t kv_len, cut;
  int n_heads() const { return n_kv_heads * group_size; }
  std::string text() const {
    return std::string(name_of(dtype)) + " kv_heads " + std::to_string(n_kv_heads) + " group " +
           std::to_string(group_size) + " head_dim " + std::to_string(head_dim) + " kv_len " +
           std::to_string(kv_len) + " cut " + std::to_string(cut);
  }
};

using Kernel = void (*)(std::span<const FullAttentionRow>, int, ThreadPool&);

FullAttentionRow row_of(const float* query, const KvView& kv, Result& result) {
  return {query, kv, result.score.data(), kv.kv_len(), result.log_sum_exp.data(), result.out.data()};
}

Result run(Kernel kernel, const std::vector<float>& query, const KvView& kv, int n_heads, ThreadPool& pool) {
  Result result(n_heads, kv.kv_len(), kv.head_dim);
  const FullAttentionRow row = row_of(query.data(), kv, result);
  kernel({&row, 1}, n_heads, pool);
  return result;
}

void compare(const Shape& shape, Random& random, ThreadPool& pool) {
  const Cache cache(random, shape.dtype, shape.n_kv_heads, shape.head_dim, shape.kv_len, shape.cut);
  const std::vector<float> query = random.normals(static_cast<std::size_t>(shape.n_heads() * shape.head_dim));
  expect_near(run(cpu::full_attention, query, cache.view(), shape.n_heads(), pool),
              run(reference::full_attention, query, cache.view(), shape.n_heads(), pool), shape.dtype,
              shape.text());
}

TEST_P(FullAttention, MatchesTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(2);
  Random random;
  for (const DType dtype : kDTypes) {
    for (const int head_dim : {8, 64, 72, 80, 128}) {
      for (const std::int64_t kv_len : {1, 2, 3, 4, 5, 63, 64, 65, 97, 1000}) {
        for (const std::int64_t cut : {std::int64_t{0}, kv_len / 3, kv_len}) {
          compare({dtype, 2, 3, head_dim, kv_len, cut}, random, pool);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(FullAttention, MatchesTheReferenceForRaggedGroups) {
  ThreadPool pool(2);
  Random random(1);
  for (const DType dtype : kDTypes) {
    for (const int group_size : {1, 2, 3, 4, 5, 7, 9}) {
      compare({dtype, 3, group_size, 64, 97, 31}, random, pool);
      compare({dtype, 1, group_size, 80, 97, 31}, random, pool);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(FullAttention, MatchesTheReferenceAroundSplitEnds) {
  ThreadPool pool(2);
  Random random(2);
  for (const std::int64_t kv_len : {511, 512, 513, 1023, 1024, 1025, 1537, 2049, 8191, 8193}) {
    compare({DType::bf16, 1, 3, 64, kv_len, kv_len - 7}, random, pool);
    if (HasFatalFailure()) return;
  }
}

TEST_P(FullAttention, StaysStableOverALongCacheWithLargeScores) {
  ThreadPool pool(2);
  Random random(3);
  const std::int64_t kv_len = 131072;
  const Cache cache(random, DType::bf16, 1, 64, kv_len, 100000);
  // Scores with deviation 8: exp without a shift by the peak would overflow.
  const std::vector<float> query = random.normals(64, 8.0f);
  const Result got = run(cpu::full_attention, query, cache.view(), 1, pool);
  const Result want = run(reference::full_attention, query, cache.view(), 1, pool);
  expect_near(got.log_sum_exp, want.log_sum_exp, {2e-5, 2e-6}, "log_sum_exp");
  expect_near(got.out, want.out, {2e-5, 2e-5}, "out");
}

/// Keys are 40 e_p, so that query 40 e_p finds position p and nothing else; V of position p is all p.
TEST_P(FullAttention, AOneHotQueryReadsItsPosition) {
  const int head_dim = 64;
  const std::int64_t kv_len = 64;
  std::vector<float> k(static_cast<std::size_t>(kv_len * head_dim), 0.0f), v(k.size());
  for (std::size_t p = 0; p < 64; ++p) {
    k[p * 64 + p] = 40.0f;
    std::fill_n(v.begin() + static_cast<std::ptrdiff_t>(p * 64), 64, static_cast<float>(p));
  }
  ThreadPool pool(2);
  for (const DType dtype : kDTypes) {
    const Cache cache(k, v, dtype, 1, head_dim, kv_len, 20);
    for (const std::size_t p : {0u, 1u, 19u, 20u, 21u, 63u}) {
      std::vector<float> query(64, 0.0f);
      query[p] = 40.0f;
      const Result got = run(cpu::full_attention, query, cache.view(), 1, pool);
      EXPECT_EQ(got.score[p], 200.0f);  // 40 * 40 / sqrt(64)
      EXPECT_EQ(got.score[(p + 1) % 64], 0.0f);
      EXPECT_EQ(got.log_sum_exp[0], 200.0f);
      for (const float o : got.out) EXPECT_EQ(o, static_cast<float>(p));
    }
  }
}

/// Two KV heads of four query heads: head h must read KV head h / 4, not h % 2.
TEST_P(FullAttention, QueryHeadsReadTheKvHeadOfTheirGroup) {
  const int head_dim = 8;
  std::vector<float> k(2 * 3 * 8, 0.0f), v(k.size());
  std::fill_n(v.begin(), 24, 1.0f);
  std::fill_n(v.begin() + 24, 24, 2.0f);
  ThreadPool pool(1);
  const Cache cache(k, v, DType::f32, 2, head_dim, 3, 1);
  const Result got = run(cpu::full_attention, std::vector<float>(8 * 8, 1.0f), cache.view(), 8, pool);
  for (std::size_t h = 0; h < 8; ++h) EXPECT_EQ(got.out[h * 8], h < 4 ? 1.0f : 2.0f) << "head " << h;
}

TEST_P(FullAttention, BitsDependOnNeitherBatchNorThreadsNorSegments) {
  Random random(4);
  const int n_kv_heads = 3, n_heads = 9, head_dim = 64;
  std::vector<Cache> caches;
  std::vector<std::vector<float>> queries;
  std::vector<Result> alone;
  ThreadPool one(1);
  for (const std::int64_t kv_len : {1, 97, 700, 1100}) {
    caches.emplace_back(random, DType::bf16, n_kv_heads, head_dim, kv_len, kv_len / 2);
    queries.push_back(random.normals(static_cast<std::size_t>(n_heads * head_dim)));
    alone.push_back(run(cpu::full_attention, queries.back(), caches.back().view(), n_heads, one));
  }
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::vector<Result> results;
    std::vector<FullAttentionRow> rows;
    for (const Cache& cache : caches) results.emplace_back(n_heads, cache.view().kv_len(), head_dim);
    for (std::size_t r = 0; r < caches.size(); ++r) {
      rows.push_back(row_of(queries[r].data(), caches[r].view(), results[r]));
    }
    cpu::full_attention(rows, n_heads, pool);
    for (std::size_t r = 0; r < caches.size(); ++r) {
      expect_same_bits(results[r], alone[r],
                       "row " + std::to_string(r) + ", " + std::to_string(threads) + " threads");
    }
  }
  const std::vector<float> k = random.normals(3 * 700 * 64), v = random.normals(k.size());
  const Cache whole(k, v, DType::bf16, 3, 64, 700, 700);
  const Result want = run(cpu::full_attention, queries[0], whole.view(), n_heads, one);
  for (const std::int64_t cut : {0, 1, 333, 699}) {
    const Cache parts(k, v, DType::bf16, 3, 64, 700, cut);
    expect_same_bits(run(cpu::full_attention, queries[0], parts.view(), n_heads, one), want,
                     "cut " + std::to_string(cut));
  }
}

TEST_P(FullAttention, AskingForScoresChangesNoBitAndScoresAloneAgree) {
  ThreadPool pool(2);
  Random random(5);
  for (const std::int64_t kv_len : {1, 97, 1500}) {
    const Cache cache(random, DType::bf16, 3, 64, kv_len, kv_len / 3);
    const std::vector<float> query = random.normals(9 * 64);
    const Result want = run(cpu::full_attention, query, cache.view(), 9, pool);
    Result quiet(9, kv_len, 64);
    FullAttentionRow row = row_of(query.data(), cache.view(), quiet);
    row.score = nullptr;
    cpu::full_attention({&row, 1}, 9, pool);
    quiet.score = want.score;
    expect_same_bits(quiet, want, "without scores");
    Result only(9, kv_len, 64);
    const ScoreRow scores{query.data(), cache.view(), only.score.data(), kv_len, only.log_sum_exp.data()};
    cpu::attention_scores({&scores, 1}, 9, pool);
    only.out = want.out;
    expect_same_bits(only, want, "scores alone");
  }
}

TEST_P(FullAttention, ScoresMatchTheReferenceAndRespectTheStride) {
  ThreadPool pool(2);
  Random random(6);
  const std::int64_t kv_len = 97, stride = 120;
  const Cache cache(random, DType::f16, 2, 80, kv_len, 50);
  const std::vector<float> query = random.normals(4 * 80);
  Result got(4, stride, 0), want(4, stride, 0);
  const ScoreRow fast{query.data(), cache.view(), got.score.data(), stride, got.log_sum_exp.data()};
  const ScoreRow slow{query.data(), cache.view(), want.score.data(), stride, want.log_sum_exp.data()};
  cpu::attention_scores({&fast, 1}, 4, pool);
  reference::attention_scores({&slow, 1}, 4, pool);
  expect_near(got, want, DType::f16, "strided");  // places past kv_len stay 0 in both
}

TEST_P(FullAttention, ProbabilitiesMatchTheReferenceAndSumToOne) {
  ThreadPool pool(2);
  Random random(7);
  for (const std::int64_t kv_len : {1, 15, 16, 17, 97, 1000}) {
    const Cache cache(random, DType::bf16, 1, 64, kv_len, 0);
    const std::vector<float> query = random.normals(3 * 64);
    const Result row = run(cpu::full_attention, query, cache.view(), 3, pool);
    std::vector<float> got(row.score.size()), want(got.size());
    const ProbRow fast{row.score.data(), row.log_sum_exp.data(), got.data(), 3, kv_len, kv_len};
    ProbRow slow = fast;
    slow.prob = want.data();
    cpu::attention_probs({&fast, 1}, pool);
    reference::attention_probs({&slow, 1}, pool);
    expect_near(got, want, {0, 1e-6}, "prob");
    for (std::size_t h = 0; h < 3; ++h) {
      double sum = 0;
      for (std::int64_t i = 0; i < kv_len; ++i)
        sum += got[h * static_cast<std::size_t>(kv_len) + static_cast<std::size_t>(i)];
      EXPECT_NEAR(sum, 1.0, 3e-6);
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
