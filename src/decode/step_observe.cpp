// The part of a step that exists for observers and oracles: exact scores, weights, events. None of it
// touches the buffers that the next layer reads.

#include <algorithm>

#include "decode/step.h"
#include "decode/step_row.h"
#include "decode/window.h"

namespace tide {

namespace {

constexpr std::int64_t kStrideStep = 16;

std::int64_t stride_for(std::int64_t count) { return (count + kStrideStep - 1) / kStrideStep * kStrideStep; }

void grow(std::vector<float>& buffer, std::int64_t size) {
  if (buffer.size() < static_cast<std::size_t>(size))
    buffer.resize(static_cast<std::size_t>(size + size / 4));
}

}  // namespace

void StepRunner::Row::begin(Sequence& of, std::int32_t id, const ModelConfig& config) {
  sequence = &of;
  fed_id = id;
  KvCache& cache = *of.cache_;
  kv_len = cache.kv_len() + 1;
  cache.begin_step();
  counted = nullptr;
  rows_read.resize(static_cast<std::size_t>(config.n_kv_heads));
  log_sum_exp.resize(static_cast<std::size_t>(config.n_heads));
  step.step = of.step_;
  step.prompt_len = of.prompt_len();
  step.kv_len = kv_len;
  step.config = &config;
}

const PositionSets* StepRunner::Row::set_read(const PositionSets* sets) {
  read = sets == nullptr ? nullptr : within_window(*sets, step.first, kv_len, within);
  if (read == &within) counted = nullptr;  // the last layer's may have been other positions
  return read;
}

void StepRunner::Row::reserve_scores(int n_heads, std::int64_t count) {
  stride = stride_for(count);
  grow(score, n_heads * stride);
}

void StepRunner::Row::reserve_shadow(const ModelConfig& config) {
  shadow_stride = stride_for(kv_len);
  grow(shadow_score, config.n_heads * shadow_stride);
  shadow_log_sum_exp.resize(static_cast<std::size_t>(config.n_heads));
}

LayerScores StepRunner::exact_scores(Row& row) {
  row.reserve_shadow(config_);
  const std::int64_t first = row.step.first;
  const kernels::ScoreRow args{row.query, rows_from(row.sequence->cache_->view(row.step.layer), first),
                               row.shadow_score.data() + first, row.shadow_stride,
                               row.shadow_log_sum_exp.data()};
  kernels::cpu::attention_scores({&args, 1}, config_.n_heads, pool_);
  return {row.shadow_score.data(), row.shadow_log_sum_exp.data(), row.shadow_stride, row.kv_len, first};
}

const float* StepRunner::probs_of_read(Row& row, std::int64_t& stride) {
  stride = row.stride;
  grow(row.prob, config_.n_heads * row.stride);
  prob_rows_.clear();
  const std::int64_t first = row.read == nullptr ? row.step.first : 0;
  for (int head = 0; head < config_.n_heads; ++head) {
    const std::int64_t count = row.read == nullptr
                                   ? row.kv_len - first
                                   : row.read->count[static_cast<std::size_t>(row.read->set_of_head[head])];
    const std::int64_t at = head * row.stride;
    std::fill_n(row.prob.data() + at, first, 0.0f);
    prob_rows_.push_back({row.score.data() + at + first, row.log_sum_exp.data() + head,
                          row.prob.data() + at + first, 1, row.stride, count});
  }
  kernels::cpu::attention_probs(prob_rows_, pool_);
  return row.prob.data();
}

void StepRunner::shadow(Row& row) {
  row.reserve_shadow(config_);
  grow(row.shadow_prob, config_.n_heads * row.shadow_stride);
  grow(row.shadow_output, config_.n_heads * config_.head_dim);
  const std::int64_t first = row.step.first;
  const kernels::FullAttentionRow full{row.query,
                                       rows_from(row.sequence->cache_->view(row.step.layer), first),
                                       row.shadow_score.data() + first,
                                       row.shadow_stride,
                                       row.shadow_log_sum_exp.data(),
                                       row.shadow_output.data()};
  kernels::cpu::full_attention({&full, 1}, config_.n_heads, pool_);
  for (int head = 0; head < config_.n_heads; ++head) {
    std::fill_n(row.shadow_prob.data() + head * row.shadow_stride, first, 0.0f);
  }
  const kernels::ProbRow prob{row.shadow_score.data() + first,
                              row.shadow_log_sum_exp.data(),
                              row.shadow_prob.data() + first,
                              config_.n_heads,
                              row.shadow_stride,
                              row.kv_len - first};
  kernels::cpu::attention_probs({&prob, 1}, pool_);
}

void StepRunner::add_weights(Row& row, const ObserverWants& wants, LayerEvent& event) {
  // What read everything is its own shadow.
  const bool is_full = row.read == nullptr;
  if (wants.prob || (wants.shadow_prob && is_full)) {
    std::int64_t stride = 0;
    const float* prob = probs_of_read(row, stride);
    if (wants.prob) event.prob = prob, event.prob_stride = stride;
    if (wants.shadow_prob && is_full) event.shadow_prob = prob, event.shadow_stride = stride;
  }
  if (wants.shadow_output && is_full) event.shadow_output = row.output;
  if (is_full || !(wants.shadow_prob || wants.shadow_output)) return;
  shadow(row);
  if (wants.shadow_prob) event.shadow_prob = row.shadow_prob.data(), event.shadow_stride = row.shadow_stride;
  if (wants.shadow_output) event.shadow_output = row.shadow_output.data();
}

void StepRunner::emit_layer(int layer) {
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Row& row = *row_[i];
    if (row.sequence->observer_ == nullptr) continue;
    const ObserverWants& wants = row.sequence->wants_;
    if (!wants.layers.empty() && !wants.layers[static_cast<std::size_t>(layer)]) continue;
    LayerEvent event{};
    event.layer = layer;
    event.step = row.step.step;
    event.role = row.sequence->policy_->placement()[static_cast<std::size_t>(layer)];
    event.kv_len = row.kv_len;
    event.first = row.step.first;
    event.read = row.read;
    event.chosen = row.chosen;
    event.output = row.output;
    event.query = wants.query ? row.query : nullptr;
    event.rows_read = row.rows_read;
    event.bytes_read = row.bytes_read;
    event.set_origin = row.set_origin;
    add_weights(row, wants, event);
    row.sequence->observer_->on_layer(event);
  }
}

void StepRunner::emit_step(float latency_ms) {
  for (std::size_t i = 0; i < n_rows_; ++i) {
    Row& row = *row_[i];
    if (row.sequence->observer_ == nullptr) continue;
    row.sequence->observer_->on_step(
        {row.step.step, row.kv_len, row.fed_id, row.sequence->logits_, latency_ms, row.sequence->tier()});
  }
}

}  // namespace tide
