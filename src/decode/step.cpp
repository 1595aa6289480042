#include "decode/step.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "decode/qkv_row.h"
#include "decode/step_row.h"
#include "decode/window.h"
#include "kernels/elementwise.h"
#include "model/weights.h"

namespace tide {

StepRunner::StepRunner(const Model& model, const RopeAngles& angles, kernels::ThreadPool& pool)
    : model_(model), config_(model.config()), angles_(angles), pool_(pool), turns_(angles) {}

StepRunner::~StepRunner() = default;

/// Rows one by one, shared out among the threads where there are enough to repay it.
template <typename Body>
void StepRunner::for_each_row(const Body& body) {
  if (n_rows_ < 4) {
    for (std::size_t i = 0; i < n_rows_; ++i) body(i);
  } else {
    pool_.run(static_cast<std::int64_t>(n_rows_), [&](std::int64_t i) { body(static_cast<std::size_t>(i)); });
  }
}

void StepRunner::run(std::span<Sequence* const> rows, std::span<const std::int32_t> fed_ids) {
  const auto begin = std::chrono::steady_clock::now();
  prepare(rows, fed_ids);
  for (int layer = 0; layer < config_.n_layers; ++layer) run_layer(layer);
  read_out();
  const std::chrono::duration<float, std::milli> latency = std::chrono::steady_clock::now() - begin;
  emit_step(latency.count());
}

void StepRunner::prepare(std::span<Sequence* const> rows, std::span<const std::int32_t> fed_ids) {
  n_rows_ = rows.size();
  const auto hidden = static_cast<std::size_t>(config_.hidden_size);
  const auto heads_dim = static_cast<std::size_t>(config_.n_heads * config_.head_dim);
  const auto qkv = static_cast<std::size_t>((config_.n_heads + 2 * config_.n_kv_heads) * config_.head_dim);
  const auto ffn = static_cast<std::size_t>(config_.ffn_size);
  const auto half = static_cast<std::size_t>(config_.head_dim / 2);
  const auto grow = [&](std::vector<float>& buffer, std::size_t a_row) {
    if (buffer.size() < a_row * n_rows_) buffer.resize(a_row * n_rows_);
  };
  grow(hidden_, hidden);
  grow(normed_, hidden);
  grow(qkv_, qkv);
  grow(attention_, heads_dim);
  grow(gate_up_, 2 * ffn);
  grow(active_, ffn);
  grow(logits_, static_cast<std::size_t>(config_.vocab_size));
  grow(cosine_, half);
  grow(sine_, half);
  full_.reserve(n_rows_);
  gather_.reserve(n_rows_);
  while (row_.size() < n_rows_) row_.push_back(std::make_unique<Row>());

  const Matrix& embedding = model_.weights().embedding;
  for (std::size_t i = 0; i < n_rows_; ++i) {
    row_[i]->begin(*rows[i], fed_ids[i], config_);
    row_[i]->query = qkv_.data() + i * qkv;
    row_[i]->output = attention_.data() + i * heads_dim;
    angles_.at(row_[i]->kv_len - 1, cosine_.data() + i * half, sine_.data() + i * half);
    embedding.load_row(fed_ids[i], hidden_.data() + i * hidden);
  }
}

void StepRunner::run_layer(int layer) {
  project(layer);
  rotate_and_append(layer);
  choose(layer);
  attend();
  observe_scores(layer);
  prefetch(layer + 1);
  count_reads(layer);
  emit_layer(layer);
  feed_forward(layer);
}

void StepRunner::project(int layer) {
  const LayerWeights& weights = model_.weights().layers[static_cast<std::size_t>(layer)];
  kernels::cpu::rms_norm({hidden_.data(), weights.attention_norm.const_data_ptr<float>(), normed_.data(),
                          static_cast<std::int64_t>(n_rows_), config_.hidden_size, config_.rms_epsilon});
  multiply(weights.qkv, normed_.data(), static_cast<std::int64_t>(n_rows_), nullptr, qkv_.data(), pool_);
}

void StepRunner::rotate_and_append(int layer) {
  const std::int64_t head_dim = config_.head_dim;
  const std::size_t half = static_cast<std::size_t>(head_dim / 2);
  const LayerWeights& weights = model_.weights().layers[static_cast<std::size_t>(layer)];
  for_each_row([&](std::size_t i) {
    Row& row = *row_[i];
    finish_qkv(config_, weights, cosine_.data() + i * half, sine_.data() + i * half, row.query);
    const float* k = row.query + config_.n_heads * head_dim;
    const float* v = k + config_.n_kv_heads * head_dim;
    row.sequence->cache_->append(layer, k, v);
  });
}

void StepRunner::choose(int layer) {
  full_.clear();
  gather_.clear();
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Row& row = *row_[i];
    row.step.layer = layer;
    row.step.query = row.query;
    KvCache& cache = *row.sequence->cache_;
    const bool shows_all = row.sequence->policy_->reads_keys(layer);
    row.step.kv = shows_all ? cache.view(layer) : cache.newest(layer);
    row.step.first = config_.first_readable(layer, row.kv_len);
    row.step.pool = &pool_;
    if (!row.step.exact_scores) {
      row.step.exact_scores = [this, place = row_[i].get()] { return exact_scores(*place); };
    }
    row.chosen = nullptr;
    const PositionSets* read = row.sequence->state_->choose(row.step);
    read = row.set_read(read);
    if (read == nullptr) {
      row.reserve_scores(config_.n_heads, row.kv_len);
      if (!shows_all) row.step.kv = cache.view(layer);
      full_.push_back({row.query, rows_from(row.step.kv, row.step.first), row.score.data() + row.step.first,
                       row.stride, row.log_sum_exp.data(), row.output});
    } else {
      gather_.push_back(gather_row(layer, row));
    }
  }
}

kernels::GatherAttentionRow StepRunner::gather_row(int layer, Row& row) {
  row.reserve_scores(config_.n_heads, row.read->width);
  GatherRows rows = row.sequence->cache_->gather(layer, *row.read);
  if (row.read->contiguous) {
    turns_.reach(row.kv_len);
    rows = row.repositioned.make(rows, *row.read, row.kv_len - 1, turns_, pool_);
  }
  return {row.query,
          rows.kv,
          rows.sets->position.data(),
          rows.sets->count.data(),
          rows.sets->set_of_head.data(),
          rows.sets->width,
          row.score.data(),
          row.stride,
          row.log_sum_exp.data(),
          row.output};
}

void StepRunner::attend() {
  if (!full_.empty()) kernels::cpu::full_attention(full_, config_.n_heads, pool_);
  if (gather_.empty()) return;
  kernels::cpu::gather_attention(gather_, config_.n_heads, pool_);
  for (std::size_t i = 0; i < n_rows_; ++i) {
    const Row& row = *row_[i];
    if (row.read == nullptr) continue;
    row.sequence->state_->finish(
        row.step, {row.log_sum_exp.data(), row.output, row.read, row.score.data(), row.stride});
  }
}

void StepRunner::observe_scores(int layer) {
  (void)layer;
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Row& row = *row_[i];
    if (row.read != nullptr) continue;
    row.chosen = row.sequence->state_->observe(
        row.step, {row.score.data(), row.log_sum_exp.data(), row.stride, row.kv_len, row.step.first});
    if (row.chosen != nullptr) row.counted = nullptr;  // its storage may hold other positions now
  }
}

void StepRunner::count_reads(int layer) {
  const std::int64_t row_bytes =
      2 * config_.head_dim * static_cast<std::int64_t>(kernels::size_of(row_[0]->step.kv.dtype));
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Row& row = *row_[i];
    if (row.read == nullptr) {
      std::fill(row.rows_read.begin(), row.rows_read.end(),
                static_cast<std::int32_t>(row.kv_len - row.step.first));
    } else if (row.counted != row.read) {
      counter_.count(*row.read, config_.n_kv_heads, row.kv_len, row.rows_read);
    }
    row.counted = row.read;
    std::int64_t rows = 0;
    for (const std::int32_t count : row.rows_read) rows += count;
    row.bytes_read = rows * row_bytes + row.sequence->state_->metadata_bytes(layer);
    row.sequence->rows_read_ += rows;
    row.sequence->bytes_read_ += row.bytes_read;
    row.set_origin = row.read != nullptr ? row.sequence->state_->set_origin(layer) : SetOrigin::untold;
    if (row.set_origin == SetOrigin::anew) ++row.sequence->sets_anew_;
    if (row.set_origin == SetOrigin::reused) ++row.sequence->sets_reused_;
  }
}

void StepRunner::feed_forward(int layer) {
  const LayerWeights& weights = model_.weights().layers[static_cast<std::size_t>(layer)];
  const auto rows = static_cast<std::int64_t>(n_rows_);
  const auto ffn = static_cast<std::size_t>(config_.ffn_size);
  multiply(weights.output, attention_.data(), rows, hidden_.data(), hidden_.data(), pool_);
  add_output_bias(weights, rows, hidden_.data());
  kernels::cpu::rms_norm({hidden_.data(), weights.ffn_norm.const_data_ptr<float>(), normed_.data(), rows,
                          config_.hidden_size, config_.rms_epsilon});
  multiply(weights.gate_up, normed_.data(), rows, nullptr, gate_up_.data(), pool_);
  for_each_row([&](std::size_t i) {
    kernels::cpu::silu_mul({gate_up_.data() + i * 2 * ffn, active_.data() + i * ffn, 1, config_.ffn_size});
  });
  multiply(weights.down, active_.data(), rows, hidden_.data(), hidden_.data(), pool_);
}

void StepRunner::read_out() {
  const Weights& weights = model_.weights();
  kernels::cpu::rms_norm({hidden_.data(), weights.final_norm.const_data_ptr<float>(), normed_.data(),
                          static_cast<std::int64_t>(n_rows_), config_.hidden_size, config_.rms_epsilon});
  multiply(weights.lm_head, normed_.data(), static_cast<std::int64_t>(n_rows_), nullptr, logits_.data(),
           pool_);
  const auto vocab = static_cast<std::size_t>(config_.vocab_size);
  for_each_row([&](std::size_t i) {
    std::copy_n(logits_.data() + i * vocab, vocab, row_[i]->sequence->logits_.data());
  });
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Sequence& sequence = *row_[i]->sequence;
    sequence.cache_->end_step();
    ++sequence.step_;
  }
}

}  // namespace tide
