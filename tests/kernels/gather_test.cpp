#include <algorithm>
#include <numeric>

#include "kernels/attention.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/cache.h"

namespace tide::kernels::test {
namespace {

class GatherAttention : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(GatherAttention);

/// Sets of distinct positions in random order; -1 behind each set's count.
struct Sets {
  Sets(Random& random, std::int64_t kv_len, int n_sets, std::int32_t set_width, bool ragged)
      : width(set_width), position(static_cast<std::size_t>(n_sets * set_width), -1) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(kv_len));
    for (int s = 0; s < n_sets; ++s) {
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random.engine());
      count.push_back(ragged ? std::max<std::int32_t>(1, width - s) : width);
      std::copy_n(all.begin(), count.back(), position.begin() + s * width);
    }
  }
  std::int32_t width;
  std::vector<std::int32_t> position, count;
};

using Kernel = void (*)(std::span<const GatherAttentionRow>, int, ThreadPool&);

Result run(Kernel kernel, const std::vector<float>& query, const KvView& kv, const Sets& sets,
           const std::vector<std::int32_t>& set_of_head, ThreadPool& pool, bool scores = true) {
  const int n_heads = static_cast<int>(set_of_head.size());
  Result result(n_heads, sets.width, kv.head_dim);
  const GatherAttentionRow row{query.data(),
                               kv,
                               sets.position.data(),
                               sets.count.data(),
                               set_of_head.data(),
                               sets.width,
                               scores ? result.score.data() : nullptr,
                               sets.width,
                               result.log_sum_exp.data(),
                               result.out.data()};
  kernel({&row, 1}, n_heads, pool);
  return result;
}

/// set_of_head for sharing head, group and all.
std::vector<std::int32_t> shared_by(const char* sharing, int n_heads, int group_size) {
  std::vector<std::int32_t> set(static_cast<std::size_t>(n_heads), 0);
  for (int h = 0; h < n_heads; ++h) {
    if (*sharing == 'h') set[static_cast<std::size_t>(h)] = h;
    if (*sharing == 'g') set[static_cast<std::size_t>(h)] = h / group_size;
  }
  return set;
}

TEST_P(GatherAttention, MatchesTheReferenceForEverySharing) {
  ThreadPool pool(2);
  Random random;
  const std::int64_t kv_len = 1200;
  for (const DType dtype : kDTypes) {
    for (const int head_dim : {64, 80, 128}) {
      const Cache cache(random, dtype, 2, head_dim, kv_len, 900);
      for (const int group_size : {1, 3, 7}) {
        const int n_heads = 2 * group_size;
        const std::vector<float> query = random.normals(static_cast<std::size_t>(n_heads * head_dim));
        for (const std::int32_t width : {1, 3, 21, 63, 64, 65, 97, 1000}) {
          for (const char* sharing : {"head", "group", "all"}) {
            const std::vector<std::int32_t> set_of_head = shared_by(sharing, n_heads, group_size);
            const Sets sets(random, kv_len, n_heads, width, true);
            expect_near(run(cpu::gather_attention, query, cache.view(), sets, set_of_head, pool),
                        run(reference::gather_attention, query, cache.view(), sets, set_of_head, pool), dtype,
                        std::string(name_of(dtype)) + " " + sharing + " width " + std::to_string(width) +
                            " head_dim " + std::to_string(head_dim) + " group " + std::to_string(group_size));
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(GatherAttention, ReadsOnlyItsPositions) {
  // Every row but 3, 40 and 41 is NaN: one stray read would show.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> k(50 * 64, nan), v(k.size(), nan);
  for (const std::size_t p : {3u, 40u, 41u}) {
    std::fill_n(k.begin() + static_cast<std::ptrdiff_t>(p * 64), 64, 0.0f);
    std::fill_n(v.begin() + static_cast<std::ptrdiff_t>(p * 64), 64, static_cast<float>(p));
  }
  ThreadPool pool(1);
  Random random(1);
  Sets sets(random, 50, 1, 3, false);
  sets.position = {41, 3, 40};
  for (const std::int64_t cut : {0, 41, 50}) {
    const Cache cache(k, v, DType::bf16, 1, 64, 50, cut);
    const Result got =
        run(cpu::gather_attention, std::vector<float>(64, 1.0f), cache.view(), sets, {0}, pool);
    for (const float o : got.out) EXPECT_NEAR(o, 28.0f, 1e-5f);  // (3 + 40 + 41) / 3
  }
}

TEST_P(GatherAttention, AnEmptySetGivesNothing) {
  Random random(4);
  const Cache cache(random, DType::bf16, 1, 64, 9, 4);
  Sets sets(random, 9, 1, 2, false);
  sets.count = {0};
  ThreadPool pool(1);
  const Result got = run(cpu::gather_attention, random.normals(64), cache.view(), sets, {0}, pool);
  EXPECT_EQ(got.log_sum_exp[0], -std::numeric_limits<float>::infinity());
  for (const float o : got.out) EXPECT_EQ(o, 0.0f);
}

TEST_P(GatherAttention, BitsDoNotDependOnSharingThreadsBatchOrScores) {
  Random random(2);
  const Cache cache(random, DType::bf16, 3, 64, 2000, 1500);
  const std::vector<float> query = random.normals(9 * 64);
  for (const std::int32_t width : {21, 97, 1300}) {
    const Sets shared(random, 2000, 1, width, false);
    Sets copies = shared;  // the same set nine times over
    for (int s = 1; s < 9; ++s) {
      copies.position.insert(copies.position.end(), shared.position.begin(), shared.position.end());
      copies.count.push_back(width);
    }
    ThreadPool one(1);
    const std::vector<std::int32_t> all = shared_by("all", 9, 3), head = shared_by("head", 9, 3);
    const Result want = run(cpu::gather_attention, query, cache.view(), shared, all, one);
    for (const int threads : {1, 2, 4}) {
      ThreadPool pool(threads);
      expect_same_bits(run(cpu::gather_attention, query, cache.view(), copies, head, pool), want,
                       "copied sets");
      Result quiet = run(cpu::gather_attention, query, cache.view(), shared, all, pool, false);
      quiet.score = want.score;
      expect_same_bits(quiet, want, "without scores");
      Result first(9, width, 64), second(9, width, 64);
      const auto row = [&](Result& r) {
        return GatherAttentionRow{
            query.data(),   cache.view(), shared.position.data(), shared.count.data(), all.data(), width,
            r.score.data(), width,        r.log_sum_exp.data(),   r.out.data()};
      };
      const GatherAttentionRow rows[] = {row(first), row(second)};
      cpu::gather_attention(rows, 9, pool);
      expect_same_bits(first, want, "first of two rows");
      expect_same_bits(second, want, "second of two rows");
    }
  }
}

TEST_P(GatherAttention, AllPositionsGiveFullAttention) {
  ThreadPool pool(2);
  Random random(3);
  const std::int64_t kv_len = 1111;
  const Cache cache(random, DType::bf16, 3, 64, kv_len, 1000);
  const std::vector<float> query = random.normals(9 * 64);
  const Sets sets(random, kv_len, 1, static_cast<std::int32_t>(kv_len), false);
  const Result gathered = run(cpu::gather_attention, query, cache.view(), sets, shared_by("all", 9, 3), pool);
  Result full(9, kv_len, 64);
  const FullAttentionRow row{query.data(),   cache.view(), full.score.data(), kv_len, full.log_sum_exp.data(),
                             full.out.data()};
  cpu::full_attention({&row, 1}, 9, pool);
  expect_near(gathered.out, full.out, tolerance(DType::bf16), "out");
  expect_near(gathered.log_sum_exp, full.log_sum_exp, tolerance(DType::bf16), "log_sum_exp");
  for (std::size_t i = 0; i < static_cast<std::size_t>(kv_len); ++i) {
    // A score is the same bits wherever its position stands in the set.
    ASSERT_EQ(gathered.score[i], full.score[static_cast<std::size_t>(sets.position[i])]);
  }
}

}  // namespace
}  // namespace tide::kernels::test
