#include "decode/window.h"

#include <algorithm>
#include <limits>

namespace tide {

namespace {

/// A segment without its first `count` positions.
void drop_front(kernels::KvSegment& segment, std::int64_t count, const kernels::KvView& view) {
  const auto bytes =
      static_cast<std::size_t>(count) * static_cast<std::size_t>(view.head_dim) * size_of(view.dtype);
  segment.k = static_cast<const std::byte*>(segment.k) + bytes;
  segment.v = static_cast<const std::byte*>(segment.v) + bytes;
  segment.count -= count;
}

/// One set in place: [width].
std::int32_t clip(std::int32_t* position, float* score, std::int32_t count, int width, std::int64_t first,
                  std::int64_t kv_len) {
  std::int32_t kept = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    if (position[i] < first) continue;
    position[kept] = position[i];
    score[kept++] = score[i];
  }
  if (kept == 0) {
    position[kept] = static_cast<std::int32_t>(kv_len - 1);
    score[kept++] = std::numeric_limits<float>::quiet_NaN();
  }
  std::fill(position + kept, position + width, -1);
  std::fill(score + kept, score + width, std::numeric_limits<float>::quiet_NaN());
  return kept;
}

}  // namespace

kernels::KvView rows_from(kernels::KvView view, std::int64_t first) {
  if (first == 0) return view;
  const std::int64_t of_prompt = std::min(first, view.segment[0].count);
  drop_front(view.segment[0], of_prompt, view);
  drop_front(view.segment[1], first - of_prompt, view);
  view.segment[0].begin = 0;
  view.segment[1].begin = view.segment[0].count;
  return view;
}

const PositionSets* within_window(const PositionSets& sets, std::int64_t first, std::int64_t kv_len,
                                  PositionSets& room) {
  const auto outside = [first](std::int32_t position) { return position >= 0 && position < first; };
  if (first == 0 || std::none_of(sets.position.begin(), sets.position.end(), outside)) return &sets;
  room = sets;
  for (int set = 0; set < room.n_sets; ++set) {
    const auto at = static_cast<std::size_t>(set) * static_cast<std::size_t>(room.width);
    std::int32_t& count = room.count[static_cast<std::size_t>(set)];
    count = clip(room.position.data() + at, room.score.data() + at, count, room.width, first, kv_len);
  }
  return &room;
}

}  // namespace tide
