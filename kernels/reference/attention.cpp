#include "kernels/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/load.h"

namespace tide::kernels::reference {
namespace {

/// What one query head reads: `count` positions, from a list or, without one, 0, 1, 2, …
struct Read {
  const std::int32_t* position;
  std::int64_t count;
  std::int64_t at(std::int64_t i) const { return position ? position[i] : i; }
};

/// Scaled dot products of one query head, in double.
std::vector<double> scores_of(const float* query, const KvView& kv, std::int64_t g, const Read& read) {
  std::vector<double> score(static_cast<std::size_t>(read.count));
  for (std::int64_t i = 0; i < read.count; ++i) {
    double dot = 0;
    for (std::int32_t d = 0; d < kv.head_dim; ++d) {
      dot += static_cast<double>(query[d]) * load_row(kv, false, g, read.at(i), d);
    }
    score[static_cast<std::size_t>(i)] = dot / std::sqrt(static_cast<double>(kv.head_dim));
  }
  return score;
}

double log_sum_exp_of(const std::vector<double>& score) {
  double peak = -std::numeric_limits<double>::infinity();
  for (const double s : score) peak = std::fmax(peak, s);
  double sum = 0;
  for (const double s : score) sum += std::exp(s - peak);
  return peak + std::log(sum);
}

/// One query head: scores and, where `out` is asked for, the weighted sum of V.
void attend(const float* query, const KvView& kv, std::int64_t g, const Read& read, float* score_out,
            float* log_sum_exp, float* out) {
  const std::vector<double> score = scores_of(query, kv, g, read);
  const double lse = log_sum_exp_of(score);
  *log_sum_exp = static_cast<float>(lse);
  if (score_out) {
    for (std::size_t i = 0; i < score.size(); ++i) score_out[i] = static_cast<float>(score[i]);
  }
  if (!out) return;
  for (std::int32_t d = 0; d < kv.head_dim; ++d) {
    double sum = 0;
    for (std::int64_t i = 0; i < read.count; ++i) {
      sum += std::exp(score[static_cast<std::size_t>(i)] - lse) * load_row(kv, true, g, read.at(i), d);
    }
    out[d] = static_cast<float>(sum);
  }
}

}  // namespace

void full_attention(std::span<const FullAttentionRow> rows, int n_heads, ThreadPool&) {
  for (const FullAttentionRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int h = 0; h < n_heads; ++h) {
      attend(row.query + h * row.kv.head_dim, row.kv, h / group_size, {nullptr, row.kv.kv_len()},
             row.score ? row.score + h * row.score_stride : nullptr, row.log_sum_exp + h,
             row.out + h * row.kv.head_dim);
    }
  }
}

void gather_attention(std::span<const GatherAttentionRow> rows, int n_heads, ThreadPool&) {
  for (const GatherAttentionRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int h = 0; h < n_heads; ++h) {
      const std::int64_t set = row.set_of_head[h];
      attend(row.query + h * row.kv.head_dim, row.kv, h / group_size,
             {row.position + set * row.width, row.count[set]},
             row.score ? row.score + h * row.score_stride : nullptr, row.log_sum_exp + h,
             row.out + h * row.kv.head_dim);
    }
  }
}

void attention_scores(std::span<const ScoreRow> rows, int n_heads, ThreadPool&) {
  for (const ScoreRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int h = 0; h < n_heads; ++h) {
      attend(row.query + h * row.kv.head_dim, row.kv, h / group_size, {nullptr, row.kv.kv_len()},
             row.score + h * row.score_stride, row.log_sum_exp + h, nullptr);
    }
  }
}

void attention_probs(std::span<const ProbRow> rows, ThreadPool&) {
  for (const ProbRow& row : rows) {
    for (std::int32_t h = 0; h < row.n_heads; ++h) {
      for (std::int64_t i = 0; i < row.count; ++i) {
        const double score = row.score[h * row.stride + i];
        row.prob[h * row.stride + i] = static_cast<float>(std::exp(score - row.log_sum_exp[h]));
      }
    }
  }
}

}  // namespace tide::kernels::reference
