#include "decode/prefill_chunk.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "decode/qkv_row.h"
#include "kernels/elementwise.h"
#include "kernels/prefill_attention.h"
#include "model/weights.h"

namespace tide {

using kernels::DType;

namespace {

/// Puts LibTorch to work on the calling thread alone. Our own threads share the rows out among them:
/// LibTorch's would wait in a busy loop between two products, on a core that ours need.
void stay_on_this_thread() {
  static thread_local const bool done = (at::set_num_threads(1), true);
  (void)done;
}

}  // namespace

PrefillChunk::PrefillChunk(const PrefillContext& context, const PrefillProducts& products, PassRows& rows,
                           std::int64_t begin, std::span<const std::int32_t> ids)
    : context_(context),
      products_(products),
      config_(context.model.config()),
      weights_(context.model.weights()),
      rows_(rows),
      begin_(begin),
      count_(static_cast<std::int64_t>(ids.size())),
      block_(products.block_rows(count_)),
      hidden_(at::empty({count_, config_.hidden_size}, at::kFloat)),
      query_(at::empty({count_, config_.n_heads * config_.head_dim}, at::kFloat)),
      attended_(at::empty(query_.sizes(), at::kFloat)),
      cosine_(static_cast<std::size_t>(count_ * context.angles.half_dim())),
      sine_(cosine_.size()) {
  for (std::int64_t row = 0; row < count_; ++row) {
    weights_.embedding.load_row(ids[static_cast<std::size_t>(row)], hidden(row));
    context.angles.at(begin_ + row, cosine_.data() + row * context.angles.half_dim(),
                      sine_.data() + row * context.angles.half_dim());
  }
}

float* PrefillChunk::hidden(std::int64_t row) const {
  return hidden_.data_ptr<float>() + row * config_.hidden_size;
}

const float* PrefillChunk::query(std::int64_t position) const {
  return query_.const_data_ptr<float>() + (position - begin_) * query_.size(1);
}

template <typename Body>
void PrefillChunk::for_each_block(const Body& body) const {
  context_.pool.run((count_ + block_ - 1) / block_, [&](std::int64_t block) {
    const c10::InferenceMode inference;
    stay_on_this_thread();
    body(block * block_, std::min(block_, count_ - block * block_));
  });
}

void PrefillChunk::project(int layer) {
  const LayerWeights& weights = weights_.layers[static_cast<std::size_t>(layer)];
  for_each_block([&](std::int64_t first, std::int64_t count) {
    ProductBlock qkv =
        products_.multiply(normed(first, count, weights.attention_norm), PrefillProducts::kQkv);
    for (std::int64_t i = 0; i < count; ++i) rotate_and_cache(layer, first + i, qkv.get(i));
  });
}

void PrefillChunk::attend_and_feed(int layer) {
  const LayerWeights& weights = weights_.layers[static_cast<std::size_t>(layer)];
  attend(layer);
  for_each_block([&](std::int64_t first, std::int64_t count) {
    keep(first, count, before_attention_);
    products_.add_product(attended(first, count), PrefillProducts::kOutput, hidden(first));
    add_output_bias(weights, count, hidden(first));
    keep(first, count, after_attention_);
    ProductBlock gate_up =
        products_.multiply(normed(first, count, weights.ffn_norm), PrefillProducts::kGateUp);
    products_.add_product(activated(std::move(gate_up)), PrefillProducts::kDown, hidden(first));
  });
}

void PrefillChunk::keep_hidden() {
  before_attention_ = at::empty(hidden_.sizes(), at::kFloat);
  after_attention_ = at::empty(hidden_.sizes(), at::kFloat);
}

void PrefillChunk::keep(std::int64_t first, std::int64_t count, const at::Tensor& to) const {
  if (!to.defined()) return;
  std::copy_n(hidden(first), count * config_.hidden_size, to.data_ptr<float>() + first * config_.hidden_size);
}

ProductBlock PrefillChunk::normed(std::int64_t first, std::int64_t count, const at::Tensor& weight) const {
  ProductBlock out(count, config_.hidden_size, products_.dtype());
  for (std::int64_t i = 0; i < count; ++i) {
    kernels::cpu::rms_norm({hidden(first + i), weight.const_data_ptr<float>(), out.row(i), 1,
                            config_.hidden_size, config_.rms_epsilon});
    out.put(i);
  }
  return out;
}

ProductBlock PrefillChunk::attended(std::int64_t first, std::int64_t count) const {
  const at::Tensor from = attended_.narrow(0, first, count);
  if (products_.dtype() == DType::f32) return ProductBlock(from);
  ProductBlock out(count, from.size(1), products_.dtype());
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(from.const_data_ptr<float>() + i * from.size(1), from.size(1), out.row(i));
    out.put(i);
  }
  return out;
}

ProductBlock PrefillChunk::activated(ProductBlock gate_up) const {
  ProductBlock out(gate_up.n_rows(), config_.ffn_size, products_.dtype());
  for (std::int64_t i = 0; i < gate_up.n_rows(); ++i) {
    kernels::cpu::silu_mul({gate_up.get(i), out.row(i), 1, config_.ffn_size});
    out.put(i);
  }
  return out;
}

/// qkv: [n_heads + 2 n_kv_heads, head_dim] of one row
void PrefillChunk::rotate_and_cache(int layer, std::int64_t row, float* qkv) {
  const std::int64_t head_dim = config_.head_dim, half = head_dim / 2;
  finish_qkv(config_, weights_.layers[static_cast<std::size_t>(layer)], cosine_.data() + row * half,
             sine_.data() + row * half, qkv);
  std::copy_n(qkv, query_.size(1), query_.data_ptr<float>() + row * query_.size(1));
  const float* k = qkv + config_.n_heads * head_dim;
  const float* v = k + config_.n_kv_heads * head_dim;
  rows_.write(layer, begin_ + row, k, v);
}

kernels::KvView PrefillChunk::kv(int layer) const { return rows_.until(layer, begin_ + count_); }

void PrefillChunk::attend(int layer) {
  ChunkRows rows{kv(layer), begin_};
  const std::int64_t window = config_.window_of(layer);
  if (sparse_ != nullptr) {
    if (const auto chosen = sparse_->read(layer, begin_, count_, query(begin_), rows.kv)) {
      TIDE_ASSERT(window == 0);
      rows = *chosen;
    }
  }
  kernels::cpu::prefill_attention({.query = query_.const_data_ptr<float>(),
                                   .query_stride = query_.size(1),
                                   .kv = rows.kv,
                                   .first = rows.first,
                                   .n_rows = count_,
                                   .n_heads = config_.n_heads,
                                   .out = attended_.data_ptr<float>(),
                                   .low_precision = products_.dtype() == DType::bf16,
                                   .window = window},
                                  context_.pool);
}

}  // namespace tide
