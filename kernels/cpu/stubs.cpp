// First form of the cpu twins: the references.
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/thread_pool.h"
#include "kernels/top_k.h"

namespace tide::kernels::cpu {
void full_attention(std::span<const FullAttentionRow> rows, int n_heads, ThreadPool& pool) {
  pool.run(static_cast<std::int64_t>(rows.size()), [&](std::int64_t r) {
    reference::full_attention(rows.subspan(static_cast<std::size_t>(r), 1), n_heads, pool);
  });
}
void gather_attention(std::span<const GatherAttentionRow> rows, int n_heads, ThreadPool& pool) {
  reference::gather_attention(rows, n_heads, pool);
}
void attention_scores(std::span<const ScoreRow> rows, int n_heads, ThreadPool& pool) {
  reference::attention_scores(rows, n_heads, pool);
}
void attention_probs(std::span<const ProbRow> rows, ThreadPool& pool) {
  reference::attention_probs(rows, pool);
}
void linear(const Linear& args, ThreadPool& pool) {
  pool.run(args.n_rows, [&](std::int64_t r) {
    Linear row = args;
    row.n_rows = 1;
    row.x += r * args.n_in;
    row.y += r * args.n_out;
    if (row.residual) row.residual += r * args.n_out;
    reference::linear(row, pool);
  });
}
void rms_norm(const RmsNorm& args) { reference::rms_norm(args); }
void rope(const Rope& args) { reference::rope(args); }
void silu_mul(const SiluMul& args) { reference::silu_mul(args); }
void convert(const Convert& args) { reference::convert(args); }
std::int64_t top_k(const TopK& args) { return reference::top_k(args); }
void pooled_prob(const PooledProb& args) { reference::pooled_prob(args); }
}  // namespace tide::kernels::cpu
