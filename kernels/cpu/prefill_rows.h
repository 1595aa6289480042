#pragma once
// What a task of prefill attention covers and where its rows lie; the fp32 and the bf16 kernel share it.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/prefill_attention.h"

namespace tide::kernels::cpu {

/// One KV head and a run of query positions. Row r of the task is query head r % group of position
/// r / group, so that rows of one position stand together and later rows read more keys.
struct PrefillRows {
  PrefillRows(const PrefillAttention& of, std::size_t of_kv_head, std::size_t from_row,
              std::size_t n_positions)
      : args(of),
        kv_head(of_kv_head),
        first_row(from_row),
        group(static_cast<std::size_t>(of.n_heads / of.kv.n_kv_heads)),
        head_dim(static_cast<std::size_t>(of.kv.head_dim)),
        count(n_positions * group) {}

  /// Keys that row r reads: first_key(r) .. readable(r) - 1.
  std::size_t readable(std::size_t r) const {
    return static_cast<std::size_t>(args.first) + first_row + r / group + 1;
  }
  std::size_t first_key(std::size_t r) const {
    const std::size_t window = static_cast<std::size_t>(args.window), end = readable(r);
    return window == 0 || end <= window ? 0 : end - window;
  }
  /// One behind the last key that any row reads.
  std::size_t n_keys() const { return readable(count - 1); }
  /// The first row that reads position `key` or a later one.
  std::size_t first_reader(std::size_t key) const {
    const std::size_t position = static_cast<std::size_t>(args.first) + first_row;
    return key > position ? std::min(count, (key - position) * group) : 0;
  }

  /// One behind the last row that reads a position before `end`.
  std::size_t end_reader(std::size_t end) const {
    if (args.window == 0) return count;
    const std::size_t position = static_cast<std::size_t>(args.first) + first_row;
    const std::size_t last = end + static_cast<std::size_t>(args.window) - 1;  // reads [end - 1, last)
    return last > position ? std::min(count, (last - position) * group) : 0;
  }

  /// [head_dim]
  const float* query(std::size_t r) const {
    return args.query + static_cast<std::int64_t>(first_row + r / group) * args.query_stride +
           (kv_head * group + r % group) * head_dim;
  }
  float* out(std::size_t r) const {
    return args.out +
           ((first_row + r / group) * static_cast<std::size_t>(args.n_heads) + kv_head * group + r % group) *
               head_dim;
  }

  /// The cached row of K (&KvSegment::k) or V at a position: [head_dim].
  template <typename Raw>
  const Raw* cached(const void* KvSegment::*rows, std::size_t position) const {
    const auto at = static_cast<std::int64_t>(position);
    const KvSegment* segment = args.kv.segment;
    if (at >= segment->begin + segment->count) ++segment;
    return static_cast<const Raw*>(segment->*rows) +
           static_cast<std::int64_t>(kv_head) * segment->head_stride +
           (at - segment->begin) * args.kv.head_dim;
  }

  const PrefillAttention& args;
  std::size_t kv_head, first_row, group, head_dim;
  std::size_t count;  ///< rows: positions x group
};

}  // namespace tide::kernels::cpu
