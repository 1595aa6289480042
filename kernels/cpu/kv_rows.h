#pragma once
// Walks the K or V rows of one KV head in blocks, through pointers, and asks for rows ahead of time.

#include <hwy/base.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/cpu/attention_span.h"

namespace tide::kernels::cpu {

constexpr std::size_t kBlock = 64;  // positions a block
constexpr std::size_t kAhead = 4;   // rows asked for at a time

/// Finds K or V rows of one KV head.
class RowFinder {
 public:
  RowFinder(const AttentionSpan& span, bool value) : span_(span) {
    const KvView& kv = *span.kv;
    const std::size_t element = size_of(kv.dtype);
    row_bytes_ = static_cast<std::size_t>(kv.head_dim) * element;
    for (int s = 0; s < 2; ++s) {
      const KvSegment& segment = kv.segment[s];
      base_[s] = static_cast<const char*>(value ? segment.v : segment.k);
      if (segment.count > 0)
        base_[s] += static_cast<std::size_t>(span.kv_head * segment.head_stride) * element;
      begin_[s] = segment.begin;
    }
    second_from_ = kv.segment[1].count > 0 ? kv.segment[1].begin : std::numeric_limits<std::int64_t>::max();
  }

  /// Row pointers of a block's positions; the last one repeats up to a multiple of 4. Returns how many
  /// are real, 0 past the end.
  std::size_t find(std::size_t block, const char** row) const {
    const std::int64_t first = static_cast<std::int64_t>(block * kBlock);
    if (first >= span_.count) return 0;
    const std::size_t n = static_cast<std::size_t>(std::min<std::int64_t>(kBlock, span_.count - first));
    if (span_.position) {
      for (std::size_t i = 0; i < n; ++i) row[i] = at(span_.position[static_cast<std::size_t>(first) + i]);
    } else {
      // A run of rows in the first segment, then one in the second.
      const std::int64_t begin = span_.begin + first;
      const std::size_t cut = static_cast<std::size_t>(
          std::clamp<std::int64_t>(second_from_ - begin, 0, static_cast<std::int64_t>(n)));
      const char* here = cut > 0 ? at(begin) : nullptr;
      for (std::size_t i = 0; i < cut; ++i) row[i] = here + i * row_bytes_;
      here = cut < n ? at(begin + static_cast<std::int64_t>(cut)) : nullptr;
      for (std::size_t i = cut; i < n; ++i) row[i] = here + (i - cut) * row_bytes_;
    }
    for (std::size_t i = n; i % 4 != 0; ++i) row[i] = row[n - 1];
    return n;
  }

  std::size_t row_bytes() const { return row_bytes_; }

 private:
  const char* at(std::int64_t position) const {
    const int s = position >= second_from_ ? 1 : 0;
    return base_[s] + static_cast<std::size_t>(position - begin_[s]) * row_bytes_;
  }

  const AttentionSpan& span_;
  const char* base_[2];
  std::int64_t begin_[2];
  std::int64_t second_from_;
  std::size_t row_bytes_;
};

/// One block's rows, and the rows to prefetch meanwhile: those of the block after.
struct Rows {
  const char* const* row;
  std::size_t n;
  const char* const* ahead;
  std::size_t n_ahead;
  std::size_t bytes;

  /// Asks for bytes first .. last - 1 of the rows ahead of rows i .. i + count. A core can have only so many
  /// lines under way: asked for a few at a time, all through the work on a block, they arrive during it.
  HWY_INLINE void prefetch(std::size_t i, std::size_t count, std::size_t first, std::size_t last) const {
    const std::size_t end = i + count >= n ? n_ahead : std::min(i + count, n_ahead);
    for (; i < end; ++i) {
      for (std::size_t byte = first; byte < last; byte += 64) hwy::Prefetch(ahead[i] + byte);
    }
  }
};

/// Visits the blocks in order. `then` finds what is read after the last block; null: nothing.
template <typename Visit>
HWY_INLINE void for_each_block(const RowFinder& finder, bool found_before, const RowFinder* then,
                               const Visit& visit) {
  const char* row[2][kBlock];
  std::size_t n = finder.find(0, row[0]);
  if (!found_before) Rows{nullptr, 0, row[0], n, finder.row_bytes()}.prefetch(0, n, 0, finder.row_bytes());
  for (std::size_t block = 0; n > 0; ++block) {
    const char** ahead = row[(block + 1) % 2];
    const std::size_t n_next = finder.find(block + 1, ahead);
    const std::size_t n_ahead = n_next == 0 && then ? then->find(0, ahead) : n_next;
    visit(block, Rows{row[block % 2], n, ahead, n_ahead, finder.row_bytes()});
    n = n_next;
  }
}

}  // namespace tide::kernels::cpu
