#pragma once
// One chunk of a prompt on its way through the layers.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "decode/pass_rows.h"
#include "decode/prefill.h"
#include "decode/prefill_products.h"
#include "model/model.h"

namespace tide {

/// The residual stream is fp32. Between two attentions every row goes its own way, so blocks of rows
/// are carried through a layer by one thread each.
class PrefillChunk {
 public:
  PrefillChunk(const PrefillContext& context, const PrefillProducts& products, PassRows& rows,
               std::int64_t begin, std::span<const std::int32_t> ids);

  /// Keys, values and rotated queries of a layer; fills the cache. The products must have entered it.
  void project(int layer);

  /// Attention and feed-forward of a layer, added to the residual stream.
  void attend_and_feed(int layer);

  /// From now on attention reads what this chooses; nullptr: everything.
  void read_by(SparsePass* sparse) { sparse_ = sparse; }

  /// From now on attend_and_feed keeps the residual stream before and after attention.
  void keep_hidden();
  /// What the last attend_and_feed kept: [count, hidden_size].
  const float* before_attention() const { return before_attention_.const_data_ptr<float>(); }
  const float* after_attention() const { return after_attention_.const_data_ptr<float>(); }

  /// The cache of a layer up to the chunk's end.
  kernels::KvView kv(int layer) const;

  /// Rotated query of one position of the chunk: [n_heads, head_dim].
  const float* query(std::int64_t position) const;

 private:
  float* hidden(std::int64_t row) const;
  void rotate_and_cache(int layer, std::int64_t row, float* qkv);
  void attend(int layer);
  void keep(std::int64_t first, std::int64_t count, const at::Tensor& to) const;
  ProductBlock normed(std::int64_t first, std::int64_t count, const at::Tensor& weight) const;
  ProductBlock attended(std::int64_t first, std::int64_t count) const;
  ProductBlock activated(ProductBlock gate_up) const;
  template <typename Body>
  void for_each_block(const Body& body) const;

  const PrefillContext& context_;
  const PrefillProducts& products_;
  const ModelConfig& config_;
  const Weights& weights_;
  PassRows& rows_;
  SparsePass* sparse_ = nullptr;
  std::int64_t begin_, count_, block_;
  at::Tensor hidden_;                              // [count, hidden]
  at::Tensor query_, attended_;                    // [count, n_heads * head_dim]
  at::Tensor before_attention_, after_attention_;  // [count, hidden]; undefined unless kept
  std::vector<float> cosine_, sine_;               // [count, head_dim / 2]
};

}  // namespace tide
