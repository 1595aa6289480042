#pragma once
// The recorder: an observer that hands what it sees to a writer thread by a bounded queue. No step is
// ever lost: when the queue is full, the decoder waits.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decode/observer.h"
#include "model/config.h"

namespace tide {

enum class MapsMode { none, full, top_k };
enum class Compression { none, deflate };

struct RecorderOptions {
  std::filesystem::path path;
  MapsMode maps = MapsMode::full;
  int top_k = 0;                           ///< with MapsMode::top_k
  std::vector<bool> layers;                ///< [n_layers]; empty: every layer
  std::vector<std::int64_t> prefill_rows;  ///< prompt positions, ascending
  bool shadow = false;
  bool tier = false;  ///< the sequence is offloaded: StepEvent::tier is recorded
  Compression compression = Compression::none;
  std::uint64_t max_bytes = 0;  ///< stop cleanly before the file grows past this; 0: no cap
  /// Steps the queue holds. Memory: that many steps' maps, or two blocks of at most 64 MB where steps are
  /// small.
  std::size_t queue_steps = 8;
  /// Positions a set holds at most, one set a head, for `estimate_bytes` only; 0: selected positions are left
  /// out.
  int set_width = 0;
};

/// What the file says of where it came from.
struct RecordingOrigin {
  ModelConfig config;
  std::string model_sha256;
  std::string policy;     ///< canonical spec
  std::string placement;  ///< letters
  std::string config_toml;
  std::uint64_t seed = 0;
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::string> prompt_strings;  ///< [prompt_len]
  /// Positions of the prompt's tokens that carry a task's answer, ascending; empty: not known.
  std::vector<std::int32_t> evidence = {};
};

/// Bytes that a recording of `steps` steps will take, uncompressed.
std::uint64_t estimate_bytes(const RecorderOptions& options, const ModelConfig& config,
                             std::int64_t prompt_len, std::int64_t steps);

/// Records one sequence into `path`, by way of `path.part`; the final name appears in `finish` only.
/// Throws InputError or WorkError (a full disk names the file and the bytes written).
class Recorder final : public DecodeObserver {
 public:
  Recorder(RecorderOptions options, RecordingOrigin origin, std::int64_t max_steps);
  ~Recorder() override;  ///< without finish(): the .part file stays, readable up to committed_steps

  ObserverWants wants() const override;
  void on_prefill(const PrefillEvent& event) override;
  void on_layer(const LayerEvent& event) override;
  void on_step(const StepEvent& event) override;

  /// What the last observed step produced, once it has been chosen (after on_step, before the next step).
  void on_token(std::int32_t generated_id, std::string token_bytes);
  /// True when the cap was reached: no further step will be taken.
  bool at_cap() const;
  /// Waits for the writer, closes the file, marks it complete and publishes it.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// An exported dump as a recording: attention of a program that is not ours.
struct ImportedAttention {
  std::string model_name, config_toml;
  int n_layers = 0, n_heads = 0, n_kv_heads = 0;
  std::int64_t steps = 0, positions = 0;
  std::vector<std::vector<float>> prob;  ///< by layer: [steps, n_heads, positions]
};

/// Writes `dump` as a complete recording; kv_len of step t is positions - steps + t + 1.
void write_imported(const std::filesystem::path& path, const ImportedAttention& dump);

}  // namespace tide
