// Attention of one decode row, one layer: full, and over sets of positions.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "kernels/attention.h"
#include "kernels/bench/cases.h"

namespace tide::kernels::bench {

namespace {

double row_bytes(std::int64_t rows) { return 2.0 * 2 * kHeadDim * static_cast<double>(rows); }  // K and V

/// What attention of one row reads and writes beside the cache.
struct Row {
  std::vector<float> query = random_floats(kHeads * kHeadDim);
  std::vector<float> out = std::vector<float>(kHeads * kHeadDim);
  std::vector<float> log_sum_exp = std::vector<float>(kHeads);
  std::vector<float> score;  // [kHeads, kv_len], or empty
};

Case full_case(Workbench& bench, std::int64_t kv_len, bool scores) {
  const auto prepare = [&bench, kv_len, scores] {
    Row row;
    if (scores) row.score.resize(static_cast<std::size_t>(kHeads * kv_len));
    return [&bench, kv_len, row]() mutable {
      const FullAttentionRow call{
          row.query.data(), cold_layer(bench.memory, kv_len), row.score.empty() ? nullptr : row.score.data(),
          kv_len,           row.log_sum_exp.data(),           row.out.data()};
      cpu::full_attention({&call, 1}, kHeads, bench.pool);
    };
  };
  return {full_attention_name(kv_len, scores), row_bytes(kKvHeads * kv_len), 0,
          scores ? full_attention_name(kv_len, false) : "", prepare};
}

/// Positions drawn at random, as many draws as the branch predictor cannot learn by heart.
class DrawnSets {
 public:
  DrawnSets(std::int64_t kv_len, std::int32_t k, std::int32_t n_sets) {
    std::mt19937 engine(kSeed);
    std::vector<std::int32_t> all(static_cast<std::size_t>(kv_len));
    std::iota(all.begin(), all.end(), 0);
    for (auto& draw : draws_) {
      for (std::int32_t s = 0; s < n_sets; ++s) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
          std::swap(all[i], all[i + engine() % (all.size() - i)]);
        }
        draw.insert(draw.end(), all.begin(), all.begin() + k);
      }
    }
  }
  /// [n_sets, k]
  const std::int32_t* next() { return draws_[at_++ % draws_.size()].data(); }

 private:
  std::vector<std::vector<std::int32_t>> draws_{64};
  std::size_t at_ = 0;
};

/// `n_sets` 9, 3 or 1: a set for each query head, each group, or for all. Rows that two heads of a group
/// both drew are counted for each.
Case gather_case(Workbench& bench, std::int64_t kv_len, std::int32_t k, std::int32_t n_sets) {
  const auto prepare = [&bench, kv_len, k, n_sets] {
    std::vector<std::int32_t> set_of_head;
    for (std::int32_t h = 0; h < kHeads; ++h) set_of_head.push_back(h * n_sets / kHeads);
    return [&bench, kv_len, k, set_of_head, row = Row{}, sets = DrawnSets(kv_len, k, n_sets),
            count = std::vector<std::int32_t>(static_cast<std::size_t>(n_sets), k)]() mutable {
      const GatherAttentionRow call{row.query.data(),
                                    cold_layer(bench.memory, kv_len),
                                    sets.next(),
                                    count.data(),
                                    set_of_head.data(),
                                    k,
                                    nullptr,
                                    k,
                                    row.log_sum_exp.data(),
                                    row.out.data()};
      cpu::gather_attention({&call, 1}, kHeads, bench.pool);
    };
  };
  return {
      fmt::format("gather attention, {} of {} positions, {} set{}", k, kv_len, n_sets, n_sets > 1 ? "s" : ""),
      row_bytes(k * std::max(n_sets, kKvHeads)), 0, full_attention_name(kv_len, false), prepare};
}

}  // namespace

std::string full_attention_name(std::int64_t kv_len, bool scores) {
  return fmt::format("full attention{}, {} positions", scores ? " with scores" : "", kv_len);
}

std::vector<Case> attention_cases(Workbench& bench) {
  std::vector<Case> cases;
  for (const std::int64_t kv_len : {1024, 8192, 32768}) {
    for (const bool scores : {false, true}) cases.push_back(full_case(bench, kv_len, scores));
  }
  for (const std::int32_t k : {64, 512}) {
    for (const std::int32_t n_sets : {9, 3, 1}) cases.push_back(gather_case(bench, 8192, k, n_sets));
  }
  return cases;
}

}  // namespace tide::kernels::bench
