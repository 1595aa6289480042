#pragma once
// T_k of contracts.md section 6: the k positions of the highest full-attention probability.

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/step_maps.h"

namespace tide::analysis {

/// The largest k: ranks are stored in 16 bits.
inline constexpr int kMaxTopK = 65535;

/// Sorted, without repetition. Throws InputError when empty or when a k is outside [1, kMaxTopK].
std::vector<int> normalised_k_list(std::vector<int> k_list);

/// Nested top sets of some rows (heads, groups, or one for all heads) of one layer at one step:
/// T_k of a row is the first k of its list, for every k up to `width`.
class TopSets {
 public:
  /// From `value` [n_rows, kv_len]. Ties: the smaller position first; -0 equals +0; NaN and excluded
  /// positions never. A row holds min(width, eligible positions).
  void build(std::span<const float> value, int n_rows, std::int64_t kv_len, int width, Exclusion excluded);
  void build(std::span<const double> value, int n_rows, std::int64_t kv_len, int width, Exclusion excluded);
  void clear() { n_rows_ = 0; }
  /// Keeps the lists alone, for sets that are only walked: ranks take most of the memory.
  void forget_ranks() { rank_ = {}; }

  bool empty() const { return n_rows_ == 0; }
  int n_rows() const { return n_rows_; }
  std::int64_t kv_len() const { return kv_len_; }
  int count(int row) const { return count_[static_cast<std::size_t>(row)]; }
  /// By falling value.
  std::span<const std::int32_t> positions(int row) const {
    return {position_.data() + static_cast<std::size_t>(row) * width_, static_cast<std::size_t>(count(row))};
  }
  /// Place of a position in the row's list; kMaxTopK when it is not there.
  int rank(int row, std::int64_t position) const {
    return position < kv_len_ ? rank_[static_cast<std::size_t>(row * kv_len_ + position)] : kMaxTopK;
  }

 private:
  template <typename T>
  void build_rows(std::span<const T> value, int n_rows, std::int64_t kv_len, int width, Exclusion excluded);

  int n_rows_ = 0;
  std::int64_t kv_len_ = 0;
  std::size_t width_ = 0;
  std::vector<std::int32_t> position_;  ///< [n_rows, width]
  std::vector<int> count_;              ///< [n_rows]
  std::vector<std::uint16_t> rank_;     ///< [n_rows, kv_len]
};

/// Shares |T_k'(a) ∩ T_k'(b)| / k' for every k of a list in one walk over a's list, k' = the smaller of k
/// and both lists' lengths.
class Intersection {
 public:
  /// `k_list`: ascending.
  explicit Intersection(std::vector<int> k_list);

  const std::vector<int>& k_list() const { return k_list_; }
  /// share[i] belongs to k_list[i]; NaN when a list is empty.
  void shares(const TopSets& a, int row_a, const TopSets& b, int row_b, std::span<double> share);
  /// counts()[i] = |T_k'(a) ∩ T_k'(b)| and sizes()[i] = k' of the last call of `shares`.
  const std::vector<int>& counts() const { return counts_; }
  const std::vector<int>& sizes() const { return sizes_; }

 private:
  void prepare(int length);

  std::vector<int> k_list_;
  std::vector<int> counts_, sizes_;
  std::vector<std::uint16_t> first_k_;  ///< [length + 1]: first index i with sizes[i] > rank
  int length_ = -1;
};

}  // namespace tide::analysis
