#pragma once
// Inside the record room only: a recording being written, block after block (contracts.md section 4).
// Used by one thread at a time.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "record/chunk_writer.h"
#include "record/layout.h"
#include "record/reader.h"

namespace tide::record {

/// What the file says besides its steps.
struct FileFacts {
  RecordingInfo info;  ///< complete, committed_steps, prompt_len and max_kv_len are not taken from here
  std::vector<std::int32_t> prompt_ids;     ///< [prompt_len]
  std::vector<std::string> prompt_strings;  ///< [prompt_len], bytes
  std::vector<std::int32_t> evidence;       ///< prompt positions; empty: no dataset
  std::string hash_algorithm = "XXH3-64";   ///< of /steps/logits_hash
};

/// Now, as the attribute `created` has it: 2026-01-31T12:00:00Z.
std::string utc_now();

class RecordingFile {
 public:
  /// Creates `path.part`, replacing a stale one, with every dataset empty. Throws InputError when the
  /// file cannot be created there, WorkError when writing fails.
  RecordingFile(const std::filesystem::path& path, const Layout& layout, const FileFacts& facts);
  ~RecordingFile();

  /// Rows [first_query, first_query + n) of a layer's prefill, [n, n_heads, prompt_len].
  void write_prefill(std::size_t layer_index, std::int64_t first_query, std::int64_t n,
                     const std::uint16_t* half);
  /// The next steps. They are committed when this returns: a kill later leaves them readable.
  void append(StepBlock& block);
  /// Bytes of the file on disk after the last commit.
  std::uint64_t bytes() const { return bytes_; }
  /// After a failed write: nothing of what HDF5 still holds reaches the file, so that closing it does not
  /// spoil what was committed.
  void freeze();
  /// Marks the file complete, closes it and publishes it under its final name.
  void finish();

 private:
  struct LayerData {
    h5::Handle role, prob, shadow, top_position, top_prob, selected, selected_score, rows_read, bytes_read,
        reused;
    h5::Handle prefill;
    int n_sets = 0, set_width = 0, set_chunk = 0;
    std::vector<std::int32_t> positions;  ///< of one block, in chunks
    std::vector<float> scores;
  };

  void create_file();
  void create_axes();
  void create_tokens(const FileFacts& facts);
  void create_steps(const FileFacts& facts);
  void create_tier();
  void create_layer(std::size_t index);
  void create_top(LayerData& data, const std::string& path);
  void create_selected(std::size_t index, const StepSets& first);
  void create_reused(std::size_t index);
  void create_prefill();
  void write_root(const FileFacts& facts);
  h5::Handle make_map(const std::string& path, const char* description);
  hsize_t row_chunk() const;

  void append_texts(std::int64_t first, const std::vector<std::string>& bytes);
  void append_tokens(const StepBlock& block);
  void append_tier(const StepBlock& block);
  void append_layer(std::size_t index, StepBlock& block, std::vector<Chunk>& chunks);
  void append_map(hid_t dataset, HalfMap& map, const StepBlock& block, std::vector<Chunk>& chunks);
  void append_top(LayerData& data, StepBlock& block, LayerBlock& layer, std::vector<Chunk>& chunks);
  void append_reused(std::size_t index, const StepBlock& block);
  void append_sets(std::size_t index, const StepBlock& block, std::vector<Chunk>& chunks);
  void gather_sets(LayerData& data, const StepBlock& block, const LayerBlock& layer);
  void commit(std::int64_t steps);

  std::filesystem::path path_;
  std::string part_;
  Layout layout_;
  h5::Handle file_;
  h5::Handle step_axis_, head_axis_, kv_head_axis_, position_axis_, rank_axis_, prompt_axis_, query_axis_;
  h5::Handle generated_, fed_, strings_, kv_len_, latency_, hash_;
  std::vector<h5::Handle> tier_;  ///< kTierDatasets, then the stalls; empty unless Layout::tier
  std::vector<LayerData> layers_;
  std::optional<ChunkWriter> chunks_;
  std::int64_t steps_ = 0, max_kv_len_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace tide::record
