#include "decode/read_count.h"

#include <algorithm>

namespace tide {

void ReadCounter::count(const PositionSets& sets, int n_kv_heads, std::int64_t kv_len,
                        std::span<std::int32_t> rows_read) {
  if (stamp_.size() < static_cast<std::size_t>(kv_len)) stamp_.resize(static_cast<std::size_t>(2 * kv_len));
  const auto group = sets.set_of_head.size() / static_cast<std::size_t>(n_kv_heads);
  for (int kv_head = 0; kv_head < n_kv_heads; ++kv_head) {
    const auto* first = sets.set_of_head.data() + group * static_cast<std::size_t>(kv_head);
    if (std::all_of(first, first + group, [&](std::int32_t set) { return set == *first; })) {
      rows_read[kv_head] = sets.count[*first];
      continue;
    }
    if (++current_ == 0) {  // wrapped around: old stamps would look new
      std::fill(stamp_.begin(), stamp_.end(), 0u);
      current_ = 1;
    }
    std::int32_t distinct = 0;
    for (std::size_t head = 0; head < group; ++head) {
      const std::int32_t* position = sets.position.data() + std::int64_t{first[head]} * sets.width;
      for (std::int32_t i = 0; i < sets.count[first[head]]; ++i) {
        std::uint32_t& stamp = stamp_[static_cast<std::size_t>(position[i])];
        distinct += stamp != current_;
        stamp = current_;
      }
    }
    rows_read[kv_head] = distinct;
  }
}

}  // namespace tide
