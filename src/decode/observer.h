#pragma once
// What can be seen of decoding. Observation changes nothing: logits are bit-identical with and
// without an observer.

#include <cstdint>
#include <span>
#include <vector>

#include "decode/policy.h"
#include "decode/tier_counts.h"

namespace tide {

/// What an observer asks the decoder to prepare; what it does not ask for costs nothing.
struct ObserverWants {
  bool prob = false;           ///< the weights that made each layer's output
  bool shadow_prob = false;    ///< full attention's weights for the same query, whatever the policy reads
  bool shadow_output = false;  ///< full attention's output for the same query (output error)
  bool query = false;          ///< the rotated query
  std::vector<bool> layers;    ///< [n_layers]; empty: every layer
  std::vector<std::int64_t> prefill_rows;  ///< prompt positions whose prefill attention is wanted, ascending
  bool prefill_keys = false;               ///< on_prefill_layer: queries and keys of the whole prompt
  bool prefill_hidden = false;             ///< the same with the residual stream around attention
};

/// One layer of one step of one sequence. Pointers are valid during the call only.
struct LayerEvent {
  int layer;
  std::int64_t step;
  Role role;
  std::int64_t kv_len;
  std::int64_t first = 0;  ///< the layer's sliding window begins here; 0 without one
  /// What was read; nullptr: everything from `first` on.
  const PositionSets* read;
  /// What a select layer chose at this step; nullptr: nothing.
  const PositionSets* chosen;
  /// Weights of the read positions: full: [n_heads, prob_stride], by position, 0 before `first`; sparse:
  /// [n_heads, prob_stride], i-th weight belongs to position i of the head's set. nullptr unless asked for.
  const float* prob;
  std::int64_t prob_stride;
  const float* shadow_prob;  ///< [n_heads, shadow_stride], by position; nullptr unless asked for
  std::int64_t shadow_stride;
  const float* output;                       ///< [n_heads, head_dim]: attention output
  const float* shadow_output;                ///< [n_heads, head_dim]; nullptr unless asked for
  const float* query;                        ///< [n_heads, head_dim]; nullptr unless asked for
  std::span<const std::int32_t> rows_read;   ///< [n_kv_heads]: distinct K/V rows
  std::int64_t bytes_read;                   ///< K, V and metadata
  SetOrigin set_origin = SetOrigin::untold;  ///< of `read`: chosen at this step, or an earlier step's
};

/// One finished step of one sequence.
struct StepEvent {
  std::int64_t step;
  std::int64_t kv_len;
  std::int32_t fed_id;
  std::span<const float> logits;  ///< [vocab_size]
  float latency_ms;               ///< of the whole batch's step
  /// What the slower tier was asked since the sequence began; nullptr: everything is in memory.
  const TierCounts* tier = nullptr;
};

/// Attention of chosen prompt rows, one layer at a time, ascending in (chunk, layer).
struct PrefillEvent {
  int layer;
  std::span<const std::int64_t> query_positions;  ///< those of this chunk
  const float* prob;    ///< [n_heads, n_queries, stride]; 0 beyond a row's own position and before its window
  std::int64_t stride;  ///< prompt_len
};

/// Every position of one chunk of the prompt at one layer, ascending in (chunk, layer).
struct PrefillLayerEvent {
  int layer;
  std::int64_t begin, count;  ///< positions of the chunk
  const float* query;         ///< [count, n_heads, head_dim], rotated
  const kernels::KvView& kv;  ///< of this layer: positions 0 .. begin + count - 1, keys rotated, as cached
  const float* before_attention = nullptr;  ///< [count, hidden_size]; nullptr unless asked for
  const float* after_attention = nullptr;   ///< the same with attention's output added
};

class DecodeObserver {
 public:
  virtual ~DecodeObserver() = default;
  virtual ObserverWants wants() const = 0;
  virtual void on_prefill(const PrefillEvent& event) { (void)event; }
  virtual void on_prefill_layer(const PrefillLayerEvent& event) { (void)event; }
  virtual void on_layer(const LayerEvent& event) = 0;
  virtual void on_step(const StepEvent& event) = 0;
};

}  // namespace tide
