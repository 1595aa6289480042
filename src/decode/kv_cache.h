#pragma once
// The KV cache: a prompt's rows, shared by its forks, and each sequence's own rows after them.

#include <cstdint>
#include <memory>

#include "kernels/types.h"
#include "model/config.h"

namespace tide {

/// Rows of every layer over a run of positions: K and V as [n_layers, n_kv_heads, capacity, head_dim].
class KvRows {
 public:
  /// Reserves memory for `capacity` positions (touched only when written).
  KvRows(const ModelConfig& config, kernels::DType dtype, std::int64_t begin, std::int64_t capacity);

  std::int64_t begin() const { return begin_; }
  std::int64_t count() const { return count_; }
  std::int64_t capacity() const { return capacity_; }
  kernels::DType dtype() const { return dtype_; }
  std::size_t bytes() const;

  /// Row of one layer, KV head and absolute position.
  void* k_row(int layer, int kv_head, std::int64_t position);
  void* v_row(int layer, int kv_head, std::int64_t position);
  const void* k_row(int layer, int kv_head, std::int64_t position) const;
  const void* v_row(int layer, int kv_head, std::int64_t position) const;

  /// Makes `count` positions visible (the rows have been written). Grows the memory when needed.
  void reserve(std::int64_t capacity);
  void set_count(std::int64_t count) { count_ = count; }
  /// The first `count` positions of one layer, whether already visible or not.
  kernels::KvSegment segment(int layer, std::int64_t count) const;

 private:
  std::size_t row_offset(int layer, int kv_head, std::int64_t position) const;

  int n_layers_, n_kv_heads_, head_dim_;
  kernels::DType dtype_;
  std::int64_t begin_, count_ = 0, capacity_;
  struct Free { void operator()(std::byte* memory) const; };
  std::unique_ptr<std::byte[], Free> k_, v_;
};

/// One sequence's cache: the prompt's rows (shared, never written) and its own.
class KvCache {
 public:
  KvCache(const ModelConfig& config, std::shared_ptr<const KvRows> prompt, std::int64_t reserve);

  std::int64_t kv_len() const { return prompt_->count() + own_.count(); }
  KvRows& own() { return own_; }
  const KvRows& prompt() const { return *prompt_; }
  /// View of one layer over `kv_len` positions.
  kernels::KvView view(int layer, std::int64_t kv_len) const;

 private:
  int n_kv_heads_, head_dim_;
  std::shared_ptr<const KvRows> prompt_;
  KvRows own_;
};

}  // namespace tide
