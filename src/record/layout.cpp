#include "record/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tide::record {

namespace {

constexpr std::int64_t kChunkBytes = std::int64_t{1} << 20;
constexpr std::int64_t kBlockBytes = std::int64_t{64} << 20;
constexpr std::int64_t kMaxChunkSteps = 64;
constexpr std::int64_t kMaxKvChunk = 4096;
constexpr std::int64_t kHalf = 2;
// What HDF5 takes besides the values: measured on files of 1 to 32 layers.
constexpr std::int64_t kFileBytes = 64 << 10;
constexpr std::int64_t kLayerBytes = 4 << 10;
constexpr std::int64_t kDatasetBytes = 5500;
constexpr std::int64_t kIndexBytes = 128;   // of a chunk in its dataset's index
constexpr std::int64_t kStepRowBytes = 44;  // /steps, /tokens, scales
constexpr std::int64_t kTokenBytes = 64;    // a token's text, its reference and its id
constexpr std::int64_t kTierRowBytes = 8 * std::ssize(kTierDatasets) + 4;

}  // namespace

std::uint64_t Layout::step_bytes() const {
  const std::int64_t maps = (prob ? 1 : 0) + (shadow ? 1 : 0);
  const std::int64_t rows = n_heads * kv_capacity() * kHalf;
  const std::int64_t top = static_cast<std::int64_t>(n_heads) * top_k * (4 + kHalf);
  return layers.size() * static_cast<std::uint64_t>(maps * rows + top);
}

std::uint64_t Layout::file_bytes(std::int64_t steps) const {
  const auto n_recorded = static_cast<std::int64_t>(layers.size());
  const std::int64_t n_queries = std::ssize(prefill_rows);
  const std::int64_t datasets =
      3 + 4 + (prob ? 1 : 0) + (shadow ? 1 : 0) + (top_k > 0 ? 2 : 0) + (n_queries > 0 ? 1 : 0);
  const std::int64_t prefill = n_queries * (n_heads * prompt_len * kHalf + kIndexBytes);
  const std::int64_t tier_sets = tier ? std::ssize(kTierDatasets) + 1 : 0;
  const std::int64_t fixed = kFileBytes + tier_sets * kDatasetBytes + prompt_len * kTokenBytes +
                             n_recorded * (kLayerBytes + datasets * kDatasetBytes + prefill);
  return static_cast<std::uint64_t>(fixed) + growth_bytes(0, steps);
}

std::uint64_t Layout::growth_bytes(std::int64_t from, std::int64_t to) const {
  const auto n_recorded = static_cast<std::int64_t>(layers.size());
  const std::int64_t row_chunk = std::min(max_steps, kRowChunk);
  const std::int64_t row_chunks = (to + row_chunk - 1) / row_chunk - (from + row_chunk - 1) / row_chunk;
  const std::int64_t row =
      kStepRowBytes + (tier ? kTierRowBytes : 0) + n_recorded * (1 + 4 * n_kv_heads + 8 + 1);
  const std::int64_t maps = (prob ? 1 : 0) + (shadow ? 1 : 0);
  const std::int64_t top = static_cast<std::int64_t>(n_heads) * top_k * (4 + kHalf);
  std::int64_t blocks = 0;
  for (std::int64_t first = from; first < to; first += chunk_steps) {
    const std::int64_t kv_len = prompt_len + std::min(first + chunk_steps, to) - 1;
    const std::int64_t chunks = (kv_len + kv_chunk - 1) / kv_chunk;
    blocks +=
        chunk_steps * (maps * n_heads * chunks * kv_chunk * kHalf + top) + (maps * chunks + 4) * kIndexBytes;
  }
  return static_cast<std::uint64_t>(row_chunks * row_chunk * row + (to - from) * kTokenBytes +
                                    n_recorded * blocks);
}

std::uint64_t sets_bytes(const StepSets& sets) {
  constexpr int kSlots = 16;
  const int width = (sets.width + kSlots - 1) / kSlots * kSlots;
  return static_cast<std::uint64_t>(sets.n_sets) * static_cast<std::uint64_t>(width) * (4 + 4);
}

void choose_chunks(Layout& layout, std::uint64_t max_bytes) {
  const std::int64_t n_kv_chunks = (layout.kv_capacity() + kMaxKvChunk - 1) / kMaxKvChunk;
  layout.kv_chunk = (layout.kv_capacity() + n_kv_chunks - 1) / n_kv_chunks;
  const std::int64_t step_chunk_bytes = layout.n_heads * layout.kv_chunk * kHalf;
  const auto step_bytes = std::max<std::int64_t>(static_cast<std::int64_t>(layout.step_bytes()), 1);
  std::int64_t steps =
      std::min({kMaxChunkSteps, layout.max_steps, kChunkBytes / step_chunk_bytes, kBlockBytes / step_bytes});
  if (max_bytes > 0) steps = std::min(steps, static_cast<std::int64_t>(max_bytes / 8) / step_bytes);
  layout.chunk_steps = std::max<std::int64_t>(steps, 1);
}

std::string layer_path(int layer, int n_layers) {
  return n_layers > 99 ? fmt::format("/layers/{:03d}", layer) : fmt::format("/layers/{:02d}", layer);
}

void HalfMap::allocate(const Layout& layout) {
  n_heads_ = layout.n_heads;
  kv_chunk_ = layout.kv_chunk;
  chunk_steps_ = layout.chunk_steps;
  chunk_elements_ = chunk_steps_ * n_heads_ * kv_chunk_;
  // Left uninitialised: pages that a short recording never reaches are never touched.
  data_.reset(new std::uint16_t[static_cast<std::size_t>(chunk_elements_ * layout.n_kv_chunks())]);
}

void HalfMap::clear_tail(std::int64_t n_steps, std::int64_t n_chunks) {
  if (n_steps == chunk_steps_) return;
  for (std::int64_t c = 0; c < n_chunks; ++c) std::fill(row(c, n_steps, 0), chunk(c) + chunk_elements_, 0);
}

StepBlock::StepBlock(const Layout& layout) : layers(layout.layers.size()) {
  const auto steps = static_cast<std::size_t>(layout.chunk_steps);
  const std::size_t top = steps * static_cast<std::size_t>(layout.n_heads * layout.top_k);
  kv_len.resize(steps);
  latency_ms.resize(steps);
  logits_hash.resize(steps);
  fed_id.resize(steps);
  generated_id.resize(steps);
  generated_token.resize(steps);
  if (layout.tier) {
    for (const TierDataset& dataset : kTierDatasets) (tier.*dataset.values).resize(steps);
    tier.stall_ms.resize(steps);
  }
  for (LayerBlock& layer : layers) {
    layer.role.resize(steps);
    if (layout.prob) layer.prob.allocate(layout);
    if (layout.shadow) layer.shadow.allocate(layout);
    layer.top_position.resize(top);
    layer.top_prob.resize(top);
    layer.sets.resize(steps);
    layer.rows_read.resize(steps * static_cast<std::size_t>(layout.n_kv_heads));
    layer.bytes_read.resize(steps);
    layer.reused.assign(steps, std::int8_t{-1});
  }
}

void StepBlock::restart(std::int64_t first) {
  first_step = first;
  n_steps = 0;
  for (LayerBlock& layer : layers) {
    for (StepSets& sets : layer.sets) sets.n_sets = 0;
  }
}

}  // namespace tide::record
