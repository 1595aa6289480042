#pragma once
// Full attention's maps of one step, all layers side by side, read step by step from a recording: at 8 K
// positions a recording is far larger than what one step needs.

#include <cstdint>
#include <vector>

#include "record/reader.h"

namespace tide::analysis {

/// Positions that a metric leaves out: the first `sinks` and the last `recent`.
struct Exclusion {
  int sinks = 0;
  int recent = 0;

  /// Positions [begin(), end(kv_len)) stay; none when begin() >= end().
  std::int64_t begin() const { return sinks; }
  std::int64_t end(std::int64_t kv_len) const { return kv_len - recent; }
};

/// One step. `prob[layer]` is [n_heads, kv_len], empty for a layer without full-attention maps.
struct StepMaps {
  std::int64_t step = 0;
  std::int64_t kv_len = 0;
  std::vector<std::vector<float>> prob;
};

/// Where a recording holds full attention's weights: `prob` of layers that read everything at every
/// step, `shadow_prob` otherwise (contracts.md section 6).
class MapSource {
 public:
  /// Throws InputError when roles or kv_len are unreadable.
  explicit MapSource(const RecordingReader& recording);

  const RecordingReader& recording() const { return *recording_; }
  std::int64_t steps() const { return static_cast<std::int64_t>(kv_len_.size()); }
  const std::vector<std::int64_t>& kv_len() const { return kv_len_; }
  bool has_layer(int layer) const { return use_[static_cast<std::size_t>(layer)] != Use::none; }
  int n_layers_with_maps() const;
  /// No layer of the run read less than everything.
  bool is_full_run() const { return full_run_; }
  /// Throws InputError when the layers that the recording covers lack full-attention maps, saying how
  /// to record them.
  void require_maps() const;

  /// Throws InputError when a dataset is unreadable.
  void read_step(std::int64_t step, StepMaps& out) const;
  /// One layer of a step, [n_heads, kv_len].
  void read_layer(int layer, std::int64_t step, std::vector<float>& out) const;

 private:
  enum class Use { none, prob, shadow };
  const RecordingReader* recording_;
  std::vector<std::int64_t> kv_len_;
  std::vector<Use> use_;
  bool full_run_ = true;
  int sparse_prob_layers_ = 0;  ///< layers whose only maps are of a sparse read
};

/// out[g, x] = sum over the `group_size` heads of group g of prob[h, x]. Sums of float16 weights are
/// exact in double, so ties between positions do not depend on the order of summation.
void sum_groups(const std::vector<float>& prob, int n_heads, int group_size, std::vector<double>& out);

}  // namespace tide::analysis
