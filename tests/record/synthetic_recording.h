#pragma once
// A recording without a model: attention that every test can compute again, fed through Recorder.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "record/recorder.h"

namespace tide::test {

struct SyntheticSpec {
  std::filesystem::path path;
  int n_heads = 6, n_kv_heads = 3, head_dim = 8;
  std::string placement =
      "FFS.";  ///< letters; one layer each. A sparse layer reads the last select layer's sets
  std::int64_t prompt_len = 20, steps = 10;
  std::int64_t max_steps = 0;  ///< 0: steps
  int budget = 8, n_sinks = 2;
  std::int64_t cache_from = -1;  ///< from this step on sparse layers tell of a cache: every third step anew
  MapsMode maps = MapsMode::full;
  int top_k = 0;
  bool shadow = false;
  bool tier = false;
  Compression compression = Compression::none;
  std::vector<bool> layers;
  std::vector<std::int64_t> prefill_rows;
  std::vector<std::int32_t> evidence;
  std::uint64_t max_bytes = 0;
  std::size_t queue_steps = 8;
  std::uint64_t seed = 1;
};

/// What a decoder would have shown of such a run.
class SyntheticRun {
 public:
  explicit SyntheticRun(SyntheticSpec spec);

  const SyntheticSpec& spec() const { return spec_; }
  int n_layers() const { return static_cast<int>(spec_.placement.size()); }
  std::int64_t kv_len(std::int64_t step) const { return spec_.prompt_len + step; }
  Role role(int layer) const;

  RecorderOptions options() const;
  RecordingOrigin origin() const;

  /// Full attention's weights, [n_heads, kv_len]: positive, each head's sum 1.
  std::vector<float> full_prob(int layer, std::int64_t step) const;
  /// The sets that a select layer chooses or a sparse one reads, one a head: sinks, then the largest
  /// weights of the select layer; scores are those weights.
  PositionSets sets(int layer, std::int64_t step) const;
  SetOrigin set_origin(int layer, std::int64_t step) const;
  /// Weights of the read positions in the order of the sets, [n_heads, width].
  std::vector<float> sparse_prob(int layer, std::int64_t step) const;
  std::vector<float> logits(std::int64_t step) const;
  std::int32_t generated_id(std::int64_t step) const { return static_cast<std::int32_t>(100 + step); }
  /// Attention of one prompt row, [n_heads, prompt_len], 0 beyond the row.
  std::vector<float> prefill_prob(int layer, std::int64_t row) const;

  /// What the slower tier was asked by the end of a step.
  TierCounts tier(std::int64_t step) const;

  void feed_prefill(Recorder& recorder) const;
  /// Every layer, the step and its token.
  void feed_step(Recorder& recorder, std::int64_t step) const;

 private:
  SyntheticSpec spec_;
};

/// Records all steps (until the cap) and finishes.
void write_synthetic(const SyntheticSpec& spec);

}  // namespace tide::test
