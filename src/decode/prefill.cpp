#include "decode/prefill.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <vector>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/prefill_attention.h"
#include "model/weights.h"

namespace tide {

namespace {

using kernels::DType;

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::f16: return at::kHalf;
    case DType::bf16: return at::kBFloat16;
    default: return at::kFloat;
  }
}

/// One chunk of the prompt on its way through the layers. The residual stream is fp32; products run
/// in the model's dtype.
class Chunk {
 public:
  Chunk(const PrefillContext& context, KvRows& rows, std::int64_t begin, std::span<const std::int32_t> ids)
      : context_(context),
        config_(context.model.config()),
        weights_(context.model.weights()),
        dtype_(scalar_type(context.model.dtype())),
        rows_(rows),
        begin_(begin),
        count_(static_cast<std::int64_t>(ids.size())) {
    hidden_ = weights_.embedding.index_select(0, at::from_blob(const_cast<std::int32_t*>(ids.data()), {count_}, at::kInt))
                  .to(at::kFloat)
                  .contiguous();
    angles();
  }

  /// Keys, values and rotated queries of a layer; fills the cache.
  void project(int layer) {
    const LayerWeights& weights = weights_.layers[layer];
    qkv_ = at::linear(normed(weights.attention_norm), weights.qkv).to(at::kFloat);
    rotate_and_cache(layer);
  }

  /// Rotated fp32 query of one position of the chunk: [n_heads, head_dim].
  const float* query(std::int64_t position) const {
    return qkv_.const_data_ptr<float>() + (position - begin_) * qkv_.size(1);
  }

  /// Attention and feed-forward of a layer, added to the residual stream.
  void attend_and_feed(int layer) {
    const LayerWeights& weights = weights_.layers[layer];
    hidden_ += at::linear(attention(layer), weights.output);
    const at::Tensor gate_up = at::linear(normed(weights.ffn_norm), weights.gate_up).to(at::kFloat);
    at::Tensor active = at::empty({count_, config_.ffn_size}, at::kFloat);
    const std::int64_t n = config_.ffn_size;
    context_.pool.run(count_, [&](std::int64_t row) {
      kernels::cpu::silu_mul({.gate_up = gate_up.const_data_ptr<float>() + row * 2 * n,
                              .y = active.data_ptr<float>() + row * n,
                              .n_rows = 1,
                              .n = n});
    });
    hidden_ += at::linear(active.to(dtype_), weights.down);
  }

 private:
  std::int64_t end() const { return begin_ + count_; }

  at::Tensor normed(const at::Tensor& weight) const {
    at::Tensor out = at::empty_like(hidden_);
    const std::int64_t n = config_.hidden_size;
    context_.pool.run(count_, [&](std::int64_t row) {
      kernels::cpu::rms_norm({.x = hidden_.const_data_ptr<float>() + row * n,
                              .weight = weight.const_data_ptr<float>(),
                              .y = out.data_ptr<float>() + row * n,
                              .n_rows = 1,
                              .n = n,
                              .epsilon = config_.rms_epsilon});
    });
    return out.to(dtype_);
  }

  void angles() {
    const int half = context_.angles.half_dim();
    cosine_.resize(static_cast<std::size_t>(count_ * half));
    sine_.resize(cosine_.size());
    context_.pool.run(count_, [&](std::int64_t row) {
      context_.angles.at(begin_ + row, cosine_.data() + row * half, sine_.data() + row * half);
    });
  }

  void rotate_and_cache(int layer) {
    const std::int64_t stride = qkv_.size(1), head_dim = config_.head_dim, half = head_dim / 2;
    context_.pool.run(count_, [&](std::int64_t row) {
      float* q = qkv_.data_ptr<float>() + row * stride;
      const float* k = q + config_.n_heads * head_dim;
      const float* v = k + config_.n_kv_heads * head_dim;
      kernels::cpu::rope({.x = q,
                          .cosine = cosine_.data() + row * half,
                          .sine = sine_.data() + row * half,
                          .n_heads = config_.n_heads + config_.n_kv_heads,
                          .head_dim = config_.head_dim});
      for (int head = 0; head < config_.n_kv_heads; ++head) {
        kernels::cpu::convert({k + head * head_dim, rows_.k_row(layer, head, begin_ + row), head_dim,
                               DType::f32, rows_.dtype()});
        kernels::cpu::convert({v + head * head_dim, rows_.v_row(layer, head, begin_ + row), head_dim,
                               DType::f32, rows_.dtype()});
      }
    });
  }

  at::Tensor attention(int layer) const {
    at::Tensor out = at::empty({count_, config_.n_heads * config_.head_dim}, at::kFloat);
    kernels::KvView kv{rows_.dtype(), config_.n_kv_heads, config_.head_dim, {rows_.segment(layer, end()), {}}};
    kv.segment[1].begin = end();
    kernels::cpu::prefill_attention({.query = qkv_.const_data_ptr<float>(),
                                     .query_stride = qkv_.size(1),
                                     .kv = kv,
                                     .first = begin_,
                                     .n_rows = count_,
                                     .n_heads = config_.n_heads,
                                     .out = out.data_ptr<float>(),
                                     .low_precision = context_.model.dtype() == DType::bf16},
                                    context_.pool);
    return out.to(dtype_);
  }

  const PrefillContext& context_;
  const ModelConfig& config_;
  const Weights& weights_;
  at::ScalarType dtype_;
  KvRows& rows_;
  std::int64_t begin_, count_;
  at::Tensor hidden_;  // [count, hidden] fp32
  at::Tensor qkv_;     // [count, (n_heads + 2 n_kv_heads) * head_dim] fp32, q and k rotated
  std::vector<float> cosine_, sine_;  // [count, head_dim / 2]
};

/// The attention of the asked-for prompt rows that lie in this chunk.
class RowProbe {
 public:
  RowProbe(DecodeObserver* observer, const ModelConfig& config, std::int64_t prompt_len, kernels::ThreadPool& pool)
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

  void observe(int layer, const Chunk& chunk, const KvRows& rows) {
    if (here_.empty() || (!wanted_.layers.empty() && !wanted_.layers[layer])) return;
    const auto n_rows = static_cast<std::int64_t>(here_.size());
    std::vector<float> score(static_cast<std::size_t>(config_.n_heads * prompt_len_));
    std::vector<float> log_sum_exp(static_cast<std::size_t>(config_.n_heads));
    std::vector<float> row_prob(score.size());
    prob_.assign(score.size() * here_.size(), 0.0f);
    for (std::int64_t i = 0; i < n_rows; ++i) {
      kernels::KvView view{rows.dtype(), config_.n_kv_heads, config_.head_dim, {rows.segment(layer, here_[i] + 1), {}}};
      view.segment[1].begin = here_[i] + 1;
      const kernels::ScoreRow row{chunk.query(here_[i]), view, score.data(), prompt_len_, log_sum_exp.data()};
      kernels::cpu::attention_scores({&row, 1}, config_.n_heads, pool_);
      const kernels::ProbRow prob{score.data(),  log_sum_exp.data(), row_prob.data(),
                                  config_.n_heads, prompt_len_,        here_[i] + 1};
      kernels::cpu::attention_probs({&prob, 1}, pool_);
      for (int head = 0; head < config_.n_heads; ++head) {
        std::copy_n(row_prob.data() + head * prompt_len_, here_[i] + 1,
                    prob_.data() + (head * n_rows + i) * prompt_len_);
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

}  // namespace

void run_prefill(const PrefillContext& context, std::span<const std::int32_t> ids, KvRows& rows,
                 DecodeObserver* observer, const std::function<void(std::int64_t)>& progress) {
  const at::NoGradGuard no_grad;
  const auto total = static_cast<std::int64_t>(ids.size());
  const int n_layers = context.model.config().n_layers;
  // The prompt's last token is fed by the first decode step, so prompt_len is one more than `total`.
  RowProbe probe(observer, context.model.config(), total + 1, context.pool);
  for (std::int64_t begin = 0; begin < total; begin += context.chunk) {
    const std::int64_t count = std::min<std::int64_t>(context.chunk, total - begin);
    Chunk chunk(context, rows, begin, ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)));
    probe.enter(begin, begin + count);
    for (int layer = 0; layer < n_layers; ++layer) {
      chunk.project(layer);
      probe.observe(layer, chunk, rows);
      // Nothing reads the last layer's output: only its keys and values are needed.
      if (layer + 1 < n_layers) chunk.attend_and_feed(layer);
    }
    if (progress) progress(begin + count);
  }
  rows.set_count(total);
}

}  // namespace tide
