#include "record/step_filler.h"

#include <algorithm>

#include "base/error.h"
#include "base/float16.h"
#include "kernels/top_k.h"
#include "record/half.h"

namespace tide::record {

namespace {

/// Positions up to which rows of this block will be written: its last step may reach one chunk further
/// than this one, and what this one leaves there must be 0.
std::int64_t written_chunks(const Layout& layout, std::int64_t kv_len, std::int64_t slot) {
  const std::int64_t last = std::min(kv_len + layout.chunk_steps - 1 - slot, layout.kv_capacity());
  return (last + layout.kv_chunk - 1) / layout.kv_chunk;
}

/// `prob`: [n_heads, stride], i-th weight of the head's set.
void fill_sparse(const Layout& layout, const LayerEvent& event, std::int64_t slot, HalfMap& map) {
  const PositionSets& read = *event.read;
  const std::int64_t n_chunks = written_chunks(layout, event.kv_len, slot);
  for (std::int64_t head = 0; head < layout.n_heads; ++head) {
    for (std::int64_t c = 0; c < n_chunks; ++c)
      std::fill_n(map.row(c, slot, head), layout.kv_chunk, std::uint16_t{0});
    const auto set = static_cast<std::size_t>(read.set_of_head[static_cast<std::size_t>(head)]);
    const std::int32_t* position = read.position.data() + set * static_cast<std::size_t>(read.width);
    const float* prob = event.prob + head * event.prob_stride;
    for (std::int32_t i = 0; i < read.count[set]; ++i) {
      const std::int64_t at = position[i];
      map.row(at / layout.kv_chunk, slot, head)[at % layout.kv_chunk] = float_to_half(prob[i]);
    }
  }
}

/// The top_k largest of a head that read everything that its window holds.
std::int64_t top_dense(const Layout& layout, const LayerEvent& event, std::int64_t head,
                       std::int32_t* position, float* prob) {
  const std::int64_t count = kernels::cpu::top_k({event.prob + head * event.prob_stride + event.first,
                                                  event.kv_len - event.first, layout.top_k, position, prob});
  for (std::int64_t i = 0; i < count; ++i) position[i] += static_cast<std::int32_t>(event.first);
  return count;
}

/// The top_k largest of a head that read a set, the smaller position first in ties.
std::int64_t top_sparse(const Layout& layout, const LayerEvent& event, std::int64_t head,
                        std::int32_t* position, float* prob) {
  const PositionSets& read = *event.read;
  const auto set = static_cast<std::size_t>(read.set_of_head[static_cast<std::size_t>(head)]);
  const std::int32_t* from = read.position.data() + set * static_cast<std::size_t>(read.width);
  std::vector<std::pair<float, std::int32_t>> all;
  for (std::int32_t i = 0; i < read.count[set]; ++i)
    all.emplace_back(-event.prob[head * event.prob_stride + i], from[i]);
  const auto count = std::min<std::ptrdiff_t>(layout.top_k, std::ssize(all));
  std::partial_sort(all.begin(), all.begin() + count, all.end());
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    prob[i] = -all[static_cast<std::size_t>(i)].first;
    position[i] = all[static_cast<std::size_t>(i)].second;
  }
  return count;
}

void fill_top(const Layout& layout, const LayerEvent& event, std::int64_t slot, LayerBlock& block) {
  std::vector<float> prob(static_cast<std::size_t>(layout.top_k));
  for (std::int64_t head = 0; head < layout.n_heads; ++head) {
    const std::int64_t at = (slot * layout.n_heads + head) * layout.top_k;
    std::int32_t* position = block.top_position.data() + at;
    std::uint16_t* half = block.top_prob.data() + at;
    const std::int64_t count = event.read == nullptr ? top_dense(layout, event, head, position, prob.data())
                                                     : top_sparse(layout, event, head, position, prob.data());
    to_half(prob.data(), count, half);
    std::fill(position + count, position + layout.top_k, -1);
    std::fill(half + count, half + layout.top_k, std::uint16_t{0});
  }
}

void fill_sets(const LayerEvent& event, StepSets& sets) {
  const PositionSets* seen = event.chosen != nullptr ? event.chosen : event.read;
  sets.n_sets = seen != nullptr ? seen->n_sets : 0;
  if (seen == nullptr) return;
  sets.width = seen->width;
  sets.position = seen->position;
  sets.score = seen->score;
  sets.set_of_head = seen->set_of_head;
}

}  // namespace

void fill_map(const Layout& layout, const float* prob, std::int64_t stride, std::int64_t kv_len,
              std::int64_t slot, HalfMap& map) {
  const std::int64_t n_chunks = written_chunks(layout, kv_len, slot);
  for (std::int64_t head = 0; head < layout.n_heads; ++head) {
    for (std::int64_t c = 0; c < n_chunks; ++c) {
      std::uint16_t* row = map.row(c, slot, head);
      const std::int64_t begin = c * layout.kv_chunk;
      const std::int64_t count = std::clamp<std::int64_t>(kv_len - begin, 0, layout.kv_chunk);
      to_half(prob + head * stride + begin, count, row);
      std::fill(row + count, row + layout.kv_chunk, std::uint16_t{0});
    }
  }
}

void fill_layer(const Layout& layout, const LayerEvent& event, std::int64_t slot, LayerBlock& block) {
  TIDE_ASSERT(event.kv_len <= layout.kv_capacity());
  block.role[static_cast<std::size_t>(slot)] = static_cast<std::uint8_t>(event.role);
  block.bytes_read[static_cast<std::size_t>(slot)] = event.bytes_read;
  block.reused[static_cast<std::size_t>(slot)] = static_cast<std::int8_t>(event.set_origin);
  TIDE_ASSERT(std::ssize(event.rows_read) == layout.n_kv_heads);
  std::copy(event.rows_read.begin(), event.rows_read.end(),
            block.rows_read.begin() + slot * layout.n_kv_heads);
  if (layout.prob && event.read == nullptr) {
    fill_map(layout, event.prob, event.prob_stride, event.kv_len, slot, block.prob);
  } else if (layout.prob) {
    fill_sparse(layout, event, slot, block.prob);
  }
  if (layout.shadow) {
    fill_map(layout, event.shadow_prob, event.shadow_stride, event.kv_len, slot, block.shadow);
  }
  if (layout.top_k > 0) fill_top(layout, event, slot, block);
  fill_sets(event, block.sets[static_cast<std::size_t>(slot)]);
}

}  // namespace tide::record
