#include "analysis/top_sets.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace tide::analysis {
namespace {

template <typename T>
struct Candidate {
  T value;
  std::int32_t position;
  bool operator<(const Candidate& other) const {  // "comes first"
    return value > other.value || (value == other.value && position < other.position);
  }
};

}  // namespace

std::vector<int> normalised_k_list(std::vector<int> k_list) {
  if (k_list.empty()) fail_input("list of k: empty; expected at least one");
  for (int k : k_list) {
    if (k < 1 || k > kMaxTopK) fail_input("k {}: expected a number from 1 to {}", k, kMaxTopK);
  }
  std::sort(k_list.begin(), k_list.end());
  k_list.erase(std::unique(k_list.begin(), k_list.end()), k_list.end());
  return k_list;
}

template <typename T>
void TopSets::build_rows(std::span<const T> value, int n_rows, std::int64_t kv_len, int width,
                         Exclusion excluded) {
  n_rows_ = n_rows;
  kv_len_ = kv_len;
  const auto begin = std::max<std::int64_t>(0, excluded.begin()), end = excluded.end(kv_len);
  width_ = static_cast<std::size_t>(std::min<std::int64_t>(width, std::max<std::int64_t>(0, end - begin)));
  position_.resize(static_cast<std::size_t>(n_rows) * width_);
  count_.assign(static_cast<std::size_t>(n_rows), 0);
  rank_.assign(static_cast<std::size_t>(n_rows * kv_len), static_cast<std::uint16_t>(kMaxTopK));
  std::vector<Candidate<T>> candidates;
  for (int row = 0; row < n_rows; ++row) {
    const std::size_t base = static_cast<std::size_t>(row * kv_len);
    candidates.clear();
    for (std::int64_t x = begin; x < end; ++x) {
      const T v = value[base + static_cast<std::size_t>(x)];
      if (!std::isnan(v)) candidates.push_back({v, static_cast<std::int32_t>(x)});
    }
    const std::size_t n = std::min(width_, candidates.size());
    const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(n);
    if (n < candidates.size()) std::nth_element(candidates.begin(), middle, candidates.end());
    std::sort(candidates.begin(), middle);
    count_[static_cast<std::size_t>(row)] = static_cast<int>(n);
    for (std::size_t r = 0; r < n; ++r) {
      position_[static_cast<std::size_t>(row) * width_ + r] = candidates[r].position;
      rank_[base + static_cast<std::size_t>(candidates[r].position)] = static_cast<std::uint16_t>(r);
    }
  }
}

void TopSets::build(std::span<const float> value, int n_rows, std::int64_t kv_len, int width,
                    Exclusion excluded) {
  build_rows(value, n_rows, kv_len, width, excluded);
}

void TopSets::build(std::span<const double> value, int n_rows, std::int64_t kv_len, int width,
                    Exclusion excluded) {
  build_rows(value, n_rows, kv_len, width, excluded);
}

Intersection::Intersection(std::vector<int> k_list)
    : k_list_(std::move(k_list)), counts_(k_list_.size()), sizes_(k_list_.size()) {}

void Intersection::prepare(int length) {
  if (length == length_) return;
  length_ = length;
  std::transform(k_list_.begin(), k_list_.end(), sizes_.begin(), [&](int k) { return std::min(k, length); });
  first_k_.resize(static_cast<std::size_t>(length));
  for (int rank = 0; rank < length; ++rank) {
    const auto first = std::upper_bound(sizes_.begin(), sizes_.end(), rank);
    first_k_[static_cast<std::size_t>(rank)] = static_cast<std::uint16_t>(first - sizes_.begin());
  }
}

void Intersection::shares(const TopSets& a, int row_a, const TopSets& b, int row_b, std::span<double> share) {
  const int length = std::min({a.count(row_a), b.count(row_b), k_list_.back()});
  prepare(length);
  std::fill(counts_.begin(), counts_.end(), 0);
  const auto positions = a.positions(row_a);
  for (int r = 0; r < length; ++r) {
    // A position is in both sets of size k when its worse rank is below k.
    const int worse = std::max(r, b.rank(row_b, positions[static_cast<std::size_t>(r)]));
    if (worse < length) {
      const std::size_t first = first_k_[static_cast<std::size_t>(worse)];
      if (first < counts_.size()) ++counts_[first];
    }
  }
  std::partial_sum(counts_.begin(), counts_.end(), counts_.begin());
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    share[i] = length == 0 ? std::numeric_limits<double>::quiet_NaN()
                           : static_cast<double>(counts_[i]) / static_cast<double>(sizes_[i]);
  }
}

}  // namespace tide::analysis
