#include "decode/prefill.h"

#include <algorithm>
#include <vector>

#include "decode/prefill_chunk.h"
#include "decode/prefill_products.h"
#include "decode/window.h"
#include "kernels/attention.h"

namespace tide {

namespace {

/// The attention of the asked-for prompt rows that lie in this chunk.
class RowProbe {
 public:
  RowProbe(DecodeObserver* observer, const ModelConfig& config, std::int64_t prompt_len,
           kernels::ThreadPool& pool)
      : observer_(observer), config_(config), prompt_len_(prompt_len), pool_(pool) {
    if (observer_ != nullptr) wanted_ = observer_->wants();
  }

  /// Chooses the rows in [begin, end).
  void enter(std::int64_t begin, std::int64_t end) {
    here_.clear();
    for (const std::int64_t row : wanted_.prefill_rows) {
      if (row >= begin && row < end) here_.push_back(row);
    }
  }

  bool any() const { return !here_.empty(); }

  void observe(int layer, const PrefillChunk& chunk, const KvRows& rows) {
    if (here_.empty() || (!wanted_.layers.empty() && !wanted_.layers[layer])) return;
    const auto n_rows = static_cast<std::int64_t>(here_.size());
    std::vector<float> score(static_cast<std::size_t>(config_.n_heads * prompt_len_));
    std::vector<float> log_sum_exp(static_cast<std::size_t>(config_.n_heads));
    std::vector<float> row_prob(score.size());
    prob_.assign(score.size() * here_.size(), 0.0f);
    for (std::int64_t i = 0; i < n_rows; ++i) {
      kernels::KvView view{
          rows.dtype(), config_.n_kv_heads, config_.head_dim, {rows.segment(layer, here_[i] + 1), {}}};
      view.segment[1].begin = here_[i] + 1;
      const std::int64_t first = config_.first_readable(layer, here_[i] + 1), count = here_[i] + 1 - first;
      const kernels::ScoreRow row{chunk.query(here_[i]), rows_from(view, first), score.data(), prompt_len_,
                                  log_sum_exp.data()};
      kernels::cpu::attention_scores({&row, 1}, config_.n_heads, pool_);
      const kernels::ProbRow prob{score.data(),    log_sum_exp.data(), row_prob.data(),
                                  config_.n_heads, prompt_len_,        count};
      kernels::cpu::attention_probs({&prob, 1}, pool_);
      for (int head = 0; head < config_.n_heads; ++head) {
        std::copy_n(row_prob.data() + head * prompt_len_, count,
                    prob_.data() + (head * n_rows + i) * prompt_len_ + first);
      }
    }
    observer_->on_prefill({layer, here_, prob_.data(), prompt_len_});
  }

 private:
  DecodeObserver* observer_;
  const ModelConfig& config_;
  std::int64_t prompt_len_;
  kernels::ThreadPool& pool_;
  ObserverWants wanted_;
  std::vector<std::int64_t> here_;
  std::vector<float> prob_;  // [n_heads, here, prompt_len]
};

void show_layer(int layer, std::int64_t begin, std::int64_t count, const PrefillChunk& chunk,
                const ObserverWants& wants, DecodeObserver& observer) {
  if (!wants.layers.empty() && !wants.layers[static_cast<std::size_t>(layer)]) return;
  const kernels::KvView kv = chunk.kv(layer);
  PrefillLayerEvent event{layer, begin, count, chunk.query(begin), kv};
  if (wants.prefill_hidden) {
    event.before_attention = chunk.before_attention();
    event.after_attention = chunk.after_attention();
  }
  observer.on_prefill_layer(event);
}

}  // namespace

void run_prefill(const PrefillContext& context, std::span<const std::int32_t> ids, KvRows& rows,
                 PromptNoteBook& notes, DecodeObserver* observer,
                 const std::function<void(std::int64_t)>& progress, SparsePass* sparse) {
  const auto total = static_cast<std::int64_t>(ids.size());
  const int n_layers = context.model.config().n_layers;
  const ObserverWants wants = observer == nullptr ? ObserverWants{} : observer->wants();
  // The prompt's last token is fed by the first decode step, so prompt_len is one more than `total`.
  RowProbe probe(observer, context.model.config(), total + 1, context.pool);
  PrefillProducts products(context.model.weights(), context.product_dtype, context.pool);
  PromptPassRows pass_rows(rows);
  for (std::int64_t begin = 0; begin < total; begin += context.chunk) {
    const std::int64_t count = std::min<std::int64_t>(context.chunk, total - begin);
    PrefillChunk chunk(context, products, pass_rows, begin,
                       ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)));
    chunk.read_by(sparse);
    probe.enter(begin, begin + count);
    if (wants.prefill_hidden) chunk.keep_hidden();
    for (int layer = 0; layer < n_layers; ++layer) {
      products.enter(layer);
      chunk.project(layer);
      probe.observe(layer, chunk, rows);
      notes.take(layer, begin, count, chunk.query(begin), chunk.kv(layer), context.pool);
      // Nothing else reads the last layer's output: only its keys and values are needed.
      if (layer + 1 < n_layers || wants.prefill_hidden) chunk.attend_and_feed(layer);
      if (wants.prefill_keys || wants.prefill_hidden)
        show_layer(layer, begin, count, chunk, wants, *observer);
    }
    if (progress) progress(begin + count);
  }
  rows.set_count(total);
}

void run_dense_pass(const PrefillContext& context, std::span<const std::int32_t> ids, std::int64_t begin,
                    PassRows& rows) {
  const int n_layers = context.model.config().n_layers;
  PrefillProducts products(context.model.weights(), context.product_dtype, context.pool);
  while (!ids.empty()) {
    const auto part = ids.first(std::min(ids.size(), static_cast<std::size_t>(context.chunk)));
    PrefillChunk chunk(context, products, rows, begin, part);
    for (int layer = 0; layer < n_layers; ++layer) {
      products.enter(layer);
      chunk.project(layer);
      if (layer + 1 < n_layers) chunk.attend_and_feed(layer);
    }
    ids = ids.subspan(part.size());
    begin += static_cast<std::int64_t>(part.size());
  }
}

}  // namespace tide
