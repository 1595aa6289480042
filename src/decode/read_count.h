#pragma once
// Exact bookkeeping: what a layer read, counted from the positions themselves.

#include <cstdint>
#include <span>
#include <vector>

#include "decode/policy.h"

namespace tide {

/// Counts the distinct rows that the query heads of each KV head read.
class ReadCounter {
 public:
  /// rows_read: [n_kv_heads], filled with the size of the union of each group's sets.
  void count(const PositionSets& sets, int n_kv_heads, std::int64_t kv_len,
             std::span<std::int32_t> rows_read);

 private:
  std::vector<std::uint32_t> stamp_;  // by position: the last union that held it
  std::uint32_t current_ = 0;
};

}  // namespace tide
