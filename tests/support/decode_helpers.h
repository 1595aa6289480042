#pragma once
// Short decodes for tests, and an observer that keeps copies of what it saw.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "policy/registry.h"

namespace tide::testing {

using PolicyPtr = std::shared_ptr<const AttentionPolicy>;

/// A policy of the tiny model, whose file is said to have this digest.
inline constexpr const char* kTinySha = "0123456789abcdef";
PolicyPtr policy_of(const std::string& spec);

/// What any policy may ask of a prompt's pass in these tests.
inline constexpr PromptNeeds kAllNeeds{.last_queries = 64, .column_mass = true};

/// Steps' logits and greedy tokens of one sequence.
struct Decoded {
  std::vector<std::vector<float>> logits;  ///< [steps][vocab_size]
  std::vector<std::int32_t> ids;           ///< [steps]
};

/// Forks `prompt` and decodes `steps` tokens; `forced` replaces the greedy choice as what is fed next.
Decoded decode(Decoder& decoder, const std::shared_ptr<const Prompt>& prompt, const PolicyPtr& policy,
               std::int64_t steps, DecodeObserver* observer = nullptr,
               const std::vector<std::int32_t>& forced = {}, std::uint64_t seed = 0);

/// A LayerEvent whose pointers became vectors; empty where the event had nullptr.
struct SeenLayer {
  int layer = 0;
  std::int64_t step = 0, kv_len = 0, first = 0;
  Role role{};
  std::optional<PositionSets> read, chosen;
  std::vector<float> prob, shadow_prob;  ///< [n_heads, stride]
  std::int64_t prob_stride = 0, shadow_stride = 0;
  std::vector<float> output, shadow_output, query;  ///< [n_heads, head_dim]
  std::vector<std::int32_t> rows_read;              ///< [n_kv_heads]
  std::int64_t bytes_read = 0;
  SetOrigin set_origin = SetOrigin::untold;

  /// Positions that a query head read, in the order of its set (everything: first,
  /// first + 1, …).
  std::vector<std::int32_t> positions_of(int head) const;
};

struct SeenStep {
  std::int64_t step = 0, kv_len = 0;
  std::int32_t fed_id = 0;
  std::vector<float> logits;
};

struct SeenPrefill {
  int layer = 0;
  std::vector<std::int64_t> query_positions;
  std::vector<float> prob;  ///< [n_heads, n_queries, stride]
  std::int64_t stride = 0;
};

class KeepingObserver : public DecodeObserver {
 public:
  explicit KeepingObserver(ObserverWants wants = {}) : wants_(std::move(wants)) {}
  /// Asks for everything that can be asked for but prompt rows.
  static ObserverWants everything();

  ObserverWants wants() const override { return wants_; }
  void on_prefill(const PrefillEvent& event) override;
  void on_layer(const LayerEvent& event) override;
  void on_step(const StepEvent& event) override;

  std::vector<SeenLayer> layers;
  std::vector<SeenStep> steps;
  std::vector<SeenPrefill> prefills;

 private:
  ObserverWants wants_;
};

}  // namespace tide::testing
