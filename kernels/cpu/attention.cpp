// Cuts attention into tasks (row, KV head, split of its positions), runs them, and merges the splits.

#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/attention_span.h"
#include "kernels/cpu/scratch.h"
#include "kernels/thread_pool.h"

namespace tide::kernels::cpu {
namespace {

constexpr std::int64_t kSplitPositions = 512;  // at least, so that a split repays its task
constexpr std::int64_t kMaxSplits = 16;

/// Splits of `count` positions. Depends on count alone: the arithmetic must not see the machine.
struct Splits {
  explicit Splits(std::int64_t count) {
    const std::int64_t wanted = std::clamp<std::int64_t>(count / kSplitPositions, 1, kMaxSplits);
    length = std::max<std::int64_t>(64, ((count + wanted - 1) / wanted + 63) / 64 * 64);
    n = std::max<std::int64_t>(1, (count + length - 1) / length);  // nothing to read is a split, too
  }
  std::int64_t length, n;
};

/// Neighbouring query heads of one KV head of one row that read the same positions.
struct Unit {
  AttentionSpan span;  // all positions; peak, sum and out are set for each task
  float* log_sum_exp;  // [n_heads]
  float* out;          // [n_heads, head_dim] or null
  Splits splits;
  std::size_t partial;  // where its partial results begin, in floats
  int unfinished;       // splits still to do
};

struct Task {
  std::size_t unit;
  std::int64_t split;
};

/// Partial results of one split: peak and sum [n_heads], out [n_heads, head_dim].
std::size_t partial_size(const Unit& unit) {
  const std::size_t per_head = 2 + (unit.out ? static_cast<std::size_t>(unit.span.kv->head_dim) : 0);
  return static_cast<std::size_t>(unit.span.n_heads) * per_head;
}

/// One call's work list; kept by the calling thread so that a steady state allocates nothing.
class Plan {
 public:
  void clear() {
    units_.clear();
    tasks_.clear();
    floats_ = 0;
  }

  void add(const AttentionSpan& span, float* log_sum_exp, float* out) {
    Unit unit{span, log_sum_exp, out, Splits(span.count), floats_, 0};
    unit.unfinished = static_cast<int>(unit.splits.n);
    floats_ += partial_size(unit) * static_cast<std::size_t>(unit.splits.n);
    for (std::int64_t s = 0; s < unit.splits.n; ++s) tasks_.push_back({units_.size(), s});
    units_.push_back(unit);
  }

  void run(ThreadPool& pool) {
    float* partial = partial_.get(floats_);
    pool.run(static_cast<std::int64_t>(tasks_.size()), [&](std::int64_t i) {
      const Task& task = tasks_[static_cast<std::size_t>(i)];
      Unit& unit = units_[task.unit];
      run_split(unit, task.split, partial);
      // Whoever ends last merges; the order of merging is the order of the splits all the same.
      if (std::atomic_ref<int>(unit.unfinished).fetch_sub(1, std::memory_order_acq_rel) == 1)
        merge(unit, partial);
    });
  }

 private:
  static void run_split(const Unit& unit, std::int64_t split, float* partial) {
    const std::int64_t first = split * unit.splits.length;
    AttentionSpan span = unit.span;
    float* at = partial + unit.partial + static_cast<std::size_t>(split) * partial_size(unit);
    span.peak = at;
    span.sum = at + span.n_heads;
    span.out = unit.out ? at + 2 * span.n_heads : nullptr;
    span.begin += first;
    if (span.position) span.position += first;
    if (span.score) span.score += first;
    span.count = std::min(unit.splits.length, unit.span.count - first);
    if (span.count > 0) return attend_span(span);
    std::fill_n(span.peak, span.n_heads, -std::numeric_limits<float>::infinity());
    std::fill_n(at + span.n_heads, partial_size(unit) - static_cast<std::size_t>(span.n_heads), 0.0f);
  }

  static void merge(const Unit& unit, const float* partial) {
    const std::size_t heads = static_cast<std::size_t>(unit.span.n_heads);
    const std::size_t head_dim = static_cast<std::size_t>(unit.span.kv->head_dim);
    const std::size_t n = static_cast<std::size_t>(unit.splits.n), size = partial_size(unit);
    const float* first = partial + unit.partial;
    for (std::size_t h = 0; h < heads; ++h) {
      float peak = first[h];
      for (std::size_t s = 1; s < n; ++s) peak = std::max(peak, first[s * size + h]);
      float* out = unit.out ? unit.out + h * head_dim : nullptr;
      if (out) std::fill_n(out, head_dim, 0.0f);
      float sum = 0;
      for (std::size_t s = 0; s < n; ++s) {
        const float* split = first + s * size;
        const float weight = split[h] == peak ? 1.0f : std::exp(split[h] - peak);
        sum += weight * split[heads + h];
        const float* v = split + 2 * heads + h * head_dim;
        for (std::size_t i = 0; out && i < head_dim; ++i) out[i] += weight * v[i];
      }
      unit.log_sum_exp[h] = peak + std::log(sum);
      for (std::size_t i = 0; out && sum > 0 && i < head_dim; ++i) out[i] /= sum;
    }
  }

  std::vector<Unit> units_;
  std::vector<Task> tasks_;
  std::size_t floats_ = 0;
  Scratch<float> partial_;
};

Plan& cleared_plan() {
  thread_local Plan plan;
  plan.clear();
  return plan;
}

AttentionSpan span_of(const float* query, const KvView& kv, int kv_head, int head, int n_heads, float* score,
                      std::int64_t score_stride) {
  AttentionSpan span{};
  span.query = query + static_cast<std::int64_t>(head) * kv.head_dim;
  span.n_heads = n_heads;
  span.kv = &kv;
  span.kv_head = kv_head;
  span.count = kv.kv_len();
  span.score = score ? score + head * score_stride : nullptr;
  span.score_stride = score_stride;
  return span;
}

}  // namespace

void full_attention(std::span<const FullAttentionRow> rows, int n_heads, ThreadPool& pool) {
  Plan& plan = cleared_plan();
  for (const FullAttentionRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int g = 0; g < row.kv.n_kv_heads; ++g) {
      const int head = g * group_size;
      plan.add(span_of(row.query, row.kv, g, head, group_size, row.score, row.score_stride),
               row.log_sum_exp + head, row.out + static_cast<std::int64_t>(head) * row.kv.head_dim);
    }
  }
  plan.run(pool);
}

void attention_scores(std::span<const ScoreRow> rows, int n_heads, ThreadPool& pool) {
  Plan& plan = cleared_plan();
  for (const ScoreRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int g = 0; g < row.kv.n_kv_heads; ++g) {
      const int head = g * group_size;
      plan.add(span_of(row.query, row.kv, g, head, group_size, row.score, row.score_stride),
               row.log_sum_exp + head, nullptr);
    }
  }
  plan.run(pool);
}

void gather_attention(std::span<const GatherAttentionRow> rows, int n_heads, ThreadPool& pool) {
  Plan& plan = cleared_plan();
  for (const GatherAttentionRow& row : rows) {
    const int group_size = n_heads / row.kv.n_kv_heads;
    for (int head = 0; head < n_heads;) {
      // Neighbours of one group that share a set read each row once.
      const int g = head / group_size;
      const std::int32_t set = row.set_of_head[head];
      int end = head + 1;
      while (end < (g + 1) * group_size && row.set_of_head[end] == set) ++end;
      AttentionSpan span = span_of(row.query, row.kv, g, head, end - head, row.score, row.score_stride);
      span.position = row.position + static_cast<std::int64_t>(set) * row.width;
      span.count = row.count[set];
      plan.add(span, row.log_sum_exp + head, row.out + static_cast<std::int64_t>(head) * row.kv.head_dim);
      head = end;
    }
  }
  plan.run(pool);
}

}  // namespace tide::kernels::cpu
