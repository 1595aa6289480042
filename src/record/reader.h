#pragma once
// Reading a recording. Needs no decoder; nothing in the file is trusted, but what HDF5 itself trusts: 1.10 may
// crash on a damaged global heap, where it keeps texts.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "record/tier_steps.h"

namespace tide {

/// Root attributes of a recording (contracts.md section 4).
struct RecordingInfo {
  std::string tool_version, model_name, model_sha256, policy, placement, config_toml, created;
  int n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
  std::uint64_t seed = 0;
  bool complete = false;
  std::int64_t committed_steps = 0;
  std::int64_t prompt_len = 0;
  std::int64_t max_kv_len = 0;  ///< third extent of the prob datasets; 0 when there are none
};

/// Selected positions of one layer.
struct SelectedPositions {
  std::int64_t steps = 0, n_sets = 0, width = 0;
  std::vector<std::int32_t> position;     ///< [steps, n_sets, width], -1 pads
  std::vector<float> score;               ///< [steps, n_sets, width]
  std::vector<std::int32_t> set_of_head;  ///< [n_heads]
};

/// Of RecordingReader::reused, the share of 1 among 0 and 1; NaN: there are none.
double reuse_rate(const std::vector<std::int8_t>& reused);

/// An open recording. Every method throws InputError naming file and dataset when it is missing, of
/// another shape or type, or unreadable. Only committed steps are given.
class RecordingReader {
 public:
  explicit RecordingReader(const std::filesystem::path& path);
  ~RecordingReader();
  RecordingReader(RecordingReader&&) noexcept;
  RecordingReader& operator=(RecordingReader&&) noexcept;

  const std::filesystem::path& path() const;
  const RecordingInfo& info() const;
  /// Recorded layers, ascending: all of the model's unless --layers named some.
  const std::vector<int>& layers() const;

  std::vector<std::int32_t> prompt_ids() const;
  /// Positions of the prompt's tokens that carry a task's answer, ascending; empty: not recorded.
  std::vector<std::int32_t> evidence() const;
  std::vector<std::int32_t> generated_ids() const;
  std::vector<std::int32_t> fed_ids() const;
  std::vector<std::string> token_strings() const;  ///< [prompt_len + steps]
  std::vector<std::int64_t> kv_len() const;        ///< [steps]
  std::vector<float> latency_ms() const;           ///< [steps]
  std::vector<std::uint64_t> logits_hash() const;  ///< [steps]
  bool has_tier() const;
  /// What the slower tier of an offloaded sequence was asked; nothing of one that was in memory.
  std::optional<TierSteps> tier() const;

  /// Role codes of a layer, [steps].
  std::vector<std::uint8_t> role(int layer) const;

  bool has_prob(int layer) const;
  bool has_shadow_prob(int layer) const;
  /// One step's attention of a layer, float16 widened: [n_heads, kv_len of that step].
  /// `shadow`: full attention's weights for the same query.
  void read_prob(int layer, std::int64_t step, bool shadow, std::vector<float>& out) const;

  bool has_top(int layer) const;
  /// With --maps topk:K, one step: positions and weights, [n_heads, K].
  void read_top(int layer, std::int64_t step, std::vector<std::int32_t>& position,
                std::vector<float>& prob) const;

  std::optional<SelectedPositions> selected(int layer) const;
  std::vector<std::int32_t> rows_read(int layer) const;   ///< [steps, n_kv_heads]
  std::vector<std::int64_t> bytes_read(int layer) const;  ///< [steps]
  /// Whether a step's sets came out of the method's cache, [steps]: 1 reused, 0 chosen anew, -1 no such sets.
  /// Nothing for a layer that never had such sets.
  std::optional<std::vector<std::int8_t>> reused(int layer) const;

  std::vector<std::int64_t> prefill_query_positions() const;  ///< empty: none recorded
  /// Attention of the recorded prefill rows of a layer: [n_heads, n_queries, prompt_len].
  void read_prefill_prob(int layer, std::vector<float>& out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tide
