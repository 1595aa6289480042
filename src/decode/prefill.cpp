#include "decode/prefill.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <vector>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/prefill_attention.h"
#include "model/weights.h"

namespace tide {

namespace {

using kernels::DType;

/// Puts LibTorch to work on the calling thread alone. Our own threads share the rows out among them:
/// LibTorch's would wait in a busy loop between two products, on a core that ours need.
void stay_on_this_thread() {
  static thread_local const bool done = (at::set_num_threads(1), true);
  (void)done;
}

void to_float(const at::Tensor& from, std::int64_t row, DType dtype, float* to) {
  const auto* rows = static_cast<const std::byte*>(from.const_data_ptr());
  const std::int64_t n = from.size(1);
  kernels::cpu::convert({rows + row * n * from.element_size(), to, n, dtype, DType::f32});
}

void from_float(const float* from, const at::Tensor& to, std::int64_t row, DType dtype) {
  auto* rows = static_cast<std::byte*>(to.data_ptr());
  const std::int64_t n = to.size(1);
  kernels::cpu::convert({from, rows + row * n * to.element_size(), n, DType::f32, dtype});
}

/// One chunk of the prompt on its way through the layers. The residual stream is fp32; products run
/// in the model's dtype. Between two attentions every row goes its own way, so blocks of rows are
/// carried through a layer by one thread each.
class Chunk {
 public:
  Chunk(const PrefillContext& context, KvRows& rows, std::int64_t begin, std::span<const std::int32_t> ids)
      : context_(context),
        config_(context.model.config()),
        weights_(context.model.weights()),
        dtype_(context.model.dtype()),
        rows_(rows),
        begin_(begin),
        count_(static_cast<std::int64_t>(ids.size())),
        block_(count_ >= 256 ? 128 : 32),
        hidden_(static_cast<std::size_t>(count_ * config_.hidden_size)),
        query_(static_cast<std::size_t>(count_ * config_.n_heads * config_.head_dim)),
        attended_(query_.size()),
        cosine_(static_cast<std::size_t>(count_ * context.angles.half_dim())),
        sine_(cosine_.size()) {
    for (std::int64_t row = 0; row < count_; ++row) {
      to_float(weights_.embedding, ids[static_cast<std::size_t>(row)], dtype_, hidden(row));
      context.angles.at(begin_ + row, cosine_.data() + row * context.angles.half_dim(),
                        sine_.data() + row * context.angles.half_dim());
    }
  }

  /// Keys, values and rotated queries of a layer; fills the cache.
  void project(int layer) {
    const LayerWeights& weights = weights_.layers[static_cast<std::size_t>(layer)];
    for_each_block([&](std::int64_t first, std::int64_t count) {
      const at::Tensor qkv = at::linear(normed(first, count, weights.attention_norm), weights.qkv);
      std::vector<float> row(static_cast<std::size_t>(qkv.size(1)));
      for (std::int64_t i = 0; i < count; ++i) {
        to_float(qkv, i, dtype_, row.data());
        rotate_and_cache(layer, first + i, row.data());
      }
    });
  }

  /// Rotated query of one position of the chunk: [n_heads, head_dim].
  const float* query(std::int64_t position) const {
    return query_.data() + (position - begin_) * config_.n_heads * config_.head_dim;
  }

  /// Attention and feed-forward of a layer, added to the residual stream.
  void attend_and_feed(int layer) {
    const LayerWeights& weights = weights_.layers[static_cast<std::size_t>(layer)];
    attend(layer);
    for_each_block([&](std::int64_t first, std::int64_t count) {
      at::Tensor attended = matrix(count, config_.n_heads * config_.head_dim);
      for (std::int64_t i = 0; i < count; ++i) {
        from_float(attended_.data() + (first + i) * attended.size(1), attended, i, dtype_);
      }
      add(first, at::linear(attended, weights.output));
      const at::Tensor gate_up = at::linear(normed(first, count, weights.ffn_norm), weights.gate_up);
      add(first, at::linear(activated(gate_up), weights.down));
    });
  }

 private:
  float* hidden(std::int64_t row) { return hidden_.data() + row * config_.hidden_size; }

  at::Tensor matrix(std::int64_t rows, std::int64_t columns) const {
    return at::empty({rows, columns}, dtype_ == DType::f32 ? at::kFloat : at::kBFloat16);
  }

  template <typename Body>
  void for_each_block(const Body& body) {
    context_.pool.run((count_ + block_ - 1) / block_, [&](std::int64_t block) {
      const c10::InferenceMode inference;
      stay_on_this_thread();
      body(block * block_, std::min(block_, count_ - block * block_));
    });
  }

  at::Tensor normed(std::int64_t first, std::int64_t count, const at::Tensor& weight) {
    at::Tensor out = matrix(count, config_.hidden_size);
    std::vector<float> row(static_cast<std::size_t>(config_.hidden_size));
    for (std::int64_t i = 0; i < count; ++i) {
      kernels::cpu::rms_norm({hidden(first + i), weight.const_data_ptr<float>(), row.data(), 1,
                              config_.hidden_size, config_.rms_epsilon});
      from_float(row.data(), out, i, dtype_);
    }
    return out;
  }

  at::Tensor activated(const at::Tensor& gate_up) const {
    at::Tensor out = matrix(gate_up.size(0), config_.ffn_size);
    std::vector<float> row(static_cast<std::size_t>(2 * config_.ffn_size));
    for (std::int64_t i = 0; i < gate_up.size(0); ++i) {
      to_float(gate_up, i, dtype_, row.data());
      kernels::cpu::silu_mul({row.data(), row.data(), 1, config_.ffn_size});
      from_float(row.data(), out, i, dtype_);
    }
    return out;
  }

  void add(std::int64_t first, const at::Tensor& update) {
    std::vector<float> row(static_cast<std::size_t>(config_.hidden_size));
    for (std::int64_t i = 0; i < update.size(0); ++i) {
      to_float(update, i, dtype_, row.data());
      std::transform(row.begin(), row.end(), hidden(first + i), hidden(first + i), std::plus<>());
    }
  }

  /// qkv: [n_heads + 2 n_kv_heads, head_dim] of one row
  void rotate_and_cache(int layer, std::int64_t row, float* qkv) {
    const std::int64_t head_dim = config_.head_dim, half = head_dim / 2;
    kernels::cpu::rope({qkv, cosine_.data() + row * half, sine_.data() + row * half,
                        config_.n_heads + config_.n_kv_heads, config_.head_dim});
    std::copy_n(qkv, config_.n_heads * head_dim, query_.data() + row * config_.n_heads * head_dim);
    const float* k = qkv + config_.n_heads * head_dim;
    const float* v = k + config_.n_kv_heads * head_dim;
    for (int head = 0; head < config_.n_kv_heads; ++head) {
      kernels::cpu::convert(
          {k + head * head_dim, rows_.k_row(layer, head, begin_ + row), head_dim, DType::f32, rows_.dtype()});
      kernels::cpu::convert(
          {v + head * head_dim, rows_.v_row(layer, head, begin_ + row), head_dim, DType::f32, rows_.dtype()});
    }
  }

  void attend(int layer) {
    const std::int64_t end = begin_ + count_;
    kernels::KvView kv{rows_.dtype(), config_.n_kv_heads, config_.head_dim, {rows_.segment(layer, end), {}}};
    kv.segment[1].begin = end;
    kernels::cpu::prefill_attention({.query = query_.data(),
                                     .query_stride = config_.n_heads * config_.head_dim,
                                     .kv = kv,
                                     .first = begin_,
                                     .n_rows = count_,
                                     .n_heads = config_.n_heads,
                                     .out = attended_.data(),
                                     .low_precision = dtype_ == DType::bf16},
                                    context_.pool);
  }

  const PrefillContext& context_;
  const ModelConfig& config_;
  const Weights& weights_;
  DType dtype_;
  KvRows& rows_;
  std::int64_t begin_, count_, block_;
  std::vector<float> hidden_;            // [count, hidden]
  std::vector<float> query_, attended_;  // [count, n_heads * head_dim]
  std::vector<float> cosine_, sine_;     // [count, head_dim / 2]
};

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

  void observe(int layer, const Chunk& chunk, const KvRows& rows) {
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
      const kernels::ScoreRow row{chunk.query(here_[i]), view, score.data(), prompt_len_, log_sum_exp.data()};
      kernels::cpu::attention_scores({&row, 1}, config_.n_heads, pool_);
      const kernels::ProbRow prob{score.data(),    log_sum_exp.data(), row_prob.data(),
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
  const auto total = static_cast<std::int64_t>(ids.size());
  const int n_layers = context.model.config().n_layers;
  // The prompt's last token is fed by the first decode step, so prompt_len is one more than `total`.
  RowProbe probe(observer, context.model.config(), total + 1, context.pool);
  for (std::int64_t begin = 0; begin < total; begin += context.chunk) {
    const std::int64_t count = std::min<std::int64_t>(context.chunk, total - begin);
    Chunk chunk(context, rows, begin,
                ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)));
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
