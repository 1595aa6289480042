#pragma once
// Inside the record room only: the shape of a recording (contracts.md section 4) and the unit in which
// it is written, a block of whole steps.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "record/tier_steps.h"

namespace tide::record {

/// Steps in a chunk of the datasets of one small row a step.
inline constexpr std::int64_t kRowChunk = 1024;

/// Sizes that never change while a file is written.
struct Layout {
  int n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
  std::vector<int> layers;  ///< recorded layers, ascending
  bool prob = false, shadow = false;
  int top_k = 0;  ///< 0: no top_position, top_prob
  bool compress = false;
  bool tier = false;  ///< of an offloaded sequence: /steps/tier_*
  std::int64_t prompt_len = 0;
  std::int64_t max_steps = 0;
  std::int64_t kv_chunk = 0;     ///< positions in a chunk of a map
  std::int64_t chunk_steps = 0;  ///< steps in a chunk, and in a block
  std::vector<std::int64_t> prefill_rows;

  std::int64_t kv_capacity() const { return prompt_len + max_steps - 1; }
  std::int64_t n_kv_chunks() const { return (kv_capacity() + kv_chunk - 1) / kv_chunk; }
  /// Uncompressed bytes of one step's maps over every position there may be, all layers.
  std::uint64_t step_bytes() const;
  /// Uncompressed bytes of a file of `steps` steps, whole chunks counted, selected positions aside.
  std::uint64_t file_bytes(std::int64_t steps) const;
  /// What steps [from, to) add to it, the first of a block at `from`.
  std::uint64_t growth_bytes(std::int64_t from, std::int64_t to) const;
};

/// Chooses kv_chunk and chunk_steps: chunks of about 1 MB, blocks of at most 64 MB (one step at least),
/// and no more than an eighth of `max_bytes` (0: no cap).
void choose_chunks(Layout& layout, std::uint64_t max_bytes);

/// "/layers/07": two digits, three from 100 layers on.
std::string layer_path(int layer, int n_layers);

/// float16 attention of the steps of a block, in the order of the file's chunks:
/// [n_kv_chunks, chunk_steps, n_heads, kv_chunk].
class HalfMap {
 public:
  void allocate(const Layout& layout);
  std::uint16_t* chunk(std::int64_t kv_chunk) { return data_.get() + kv_chunk * chunk_elements_; }
  std::uint16_t* row(std::int64_t kv_chunk, std::int64_t step_in_block, std::int64_t head) {
    return chunk(kv_chunk) + (step_in_block * n_heads_ + head) * kv_chunk_;
  }
  /// Sets the steps from `n_steps` on to 0 in the first `n_chunks` chunks: the tail of a short block.
  void clear_tail(std::int64_t n_steps, std::int64_t n_chunks);

 private:
  std::unique_ptr<std::uint16_t[]> data_;
  std::int64_t chunk_elements_ = 0, n_heads_ = 0, kv_chunk_ = 0, chunk_steps_ = 0;
};

/// The sets of one layer at one step; n_sets 0: none.
struct StepSets {
  int n_sets = 0, width = 0;
  std::vector<std::int32_t> position;     ///< [n_sets, width]
  std::vector<float> score;               ///< [n_sets, width]
  std::vector<std::int32_t> set_of_head;  ///< [n_heads]
};

/// Bytes that the sets of one step take in the file, uncompressed.
std::uint64_t sets_bytes(const StepSets& sets);

/// One recorded layer of a block.
struct LayerBlock {
  std::vector<std::uint8_t> role;  ///< [chunk_steps]
  HalfMap prob, shadow;
  std::vector<std::int32_t> top_position;  ///< [chunk_steps, n_heads, top_k]
  std::vector<std::uint16_t> top_prob;     ///< [chunk_steps, n_heads, top_k]
  std::vector<StepSets> sets;              ///< [chunk_steps]
  std::vector<std::int32_t> rows_read;     ///< [chunk_steps, n_kv_heads]
  std::vector<std::int64_t> bytes_read;    ///< [chunk_steps]
  std::vector<std::int8_t> reused;         ///< [chunk_steps]: 1, 0; -1: the method keeps no sets
};

/// Up to chunk_steps consecutive steps; only the last block of a file is short.
struct StepBlock {
  explicit StepBlock(const Layout& layout);
  /// Forgets the steps; the memory stays.
  void restart(std::int64_t first);

  std::int64_t first_step = 0, n_steps = 0;
  std::vector<std::int64_t> kv_len;          ///< [chunk_steps]
  std::vector<float> latency_ms;             ///< [chunk_steps]
  std::vector<std::uint64_t> logits_hash;    ///< [chunk_steps]
  std::vector<std::int32_t> fed_id;          ///< [chunk_steps]
  std::vector<std::int32_t> generated_id;    ///< [chunk_steps]
  std::vector<std::string> generated_token;  ///< [chunk_steps], bytes
  TierSteps tier;                            ///< [chunk_steps]; empty unless Layout::tier
  std::vector<LayerBlock> layers;            ///< in the order of Layout::layers
};

}  // namespace tide::record
