#pragma once
// Quest's metadata: per page of the cache and channel, the smallest and the largest key.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode/policy.h"

namespace tide {

/// The pages of one layer of one sequence, kept up to date as the cache grows. Page i holds positions
/// [i * page, (i + 1) * page), the last one what there is of it.
class PageBounds {
 public:
  explicit PageBounds(int page) : page_(page) {}

  /// Takes in the rows that came since the last call.
  void update(const LayerStep& step);
  std::int64_t n_pages() const { return n_pages_; }
  /// What a look at all pages reads, in bytes: bounds are held in the cache's own type.
  std::int64_t bytes() const;

  /// score [n_heads, stride]: for each page an upper bound of the scaled dot products of a head's query with
  /// the page's keys, sum over d of max(q_d * low_d, q_d * high_d) / sqrt(head_dim) (Quest, arXiv 2406.10774,
  /// section 3.3). stride >= n_pages.
  void score(const LayerStep& step, float* score, std::int64_t stride);

 private:
  void reserve(const LayerStep& step, std::int64_t pages);
  void add_row(const LayerStep& step, std::int64_t position);
  std::size_t row_bytes() const { return static_cast<std::size_t>(2 * head_dim_) * kernels::size_of(dtype_); }
  std::byte* row(int kv_head, std::int64_t page) {
    return bounds_.data() + static_cast<std::size_t>(kv_head * capacity_ + page) * row_bytes();
  }

  int page_;
  kernels::DType dtype_ = kernels::DType::f32;
  int n_kv_heads_ = 0, head_dim_ = 0;
  std::int64_t capacity_ = 0, n_pages_ = 0, rows_ = 0;
  std::vector<std::byte>
      bounds_;  // [n_kv_heads, capacity_, 2 * head_dim]: the largest keys, then the smallest
  std::vector<float> key_, extreme_;  // [head_dim], [2 * head_dim]
  std::vector<float> query_;          // [n_heads, 2 * head_dim]
  std::vector<float> log_sum_exp_;    // [n_heads]
};

}  // namespace tide
