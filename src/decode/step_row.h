#pragma once
// The step's buffers for one place in the batch.

#include <cstdint>
#include <vector>

#include "decode/reposition.h"
#include "decode/step.h"

namespace tide {

struct StepRunner::Row {
  Sequence* sequence = nullptr;
  LayerStep step{};
  std::int32_t fed_id = 0;
  std::int64_t kv_len = 0;
  float* query = nullptr;                 // [n_heads + 2 n_kv_heads, head_dim]: q, then k, then v
  float* output = nullptr;                // [n_heads, head_dim]
  const PositionSets* read = nullptr;     // of the current layer; nullptr: everything
  const PositionSets* chosen = nullptr;   // by a select layer, at the current layer
  const PositionSets* counted = nullptr;  // what rows_read was counted from
  PositionSets within;            // of the current layer: the policy's sets without what its window hides
  RepositionedRows repositioned;  // of the current layer, where the sets ask for it
  std::vector<std::int32_t> rows_read;  // [n_kv_heads]
  std::int64_t bytes_read = 0;
  SetOrigin set_origin = SetOrigin::untold;
  std::vector<float> score, prob;  // [n_heads, stride]
  std::vector<float> log_sum_exp;  // [n_heads]
  std::int64_t stride = 0;
  // Full attention of the same query beside what the policy read (shadow), or an oracle's scores.
  std::vector<float> shadow_score, shadow_prob, shadow_log_sum_exp, shadow_output;
  std::int64_t shadow_stride = 0;

  void begin(Sequence& of, std::int32_t id, const ModelConfig& config);
  /// What the policy wants read, and of that what the layer may read, which is returned.
  const PositionSets* set_read(const PositionSets* sets);
  void reserve_scores(int n_heads, std::int64_t count);
  void reserve_shadow(const ModelConfig& config);
};

}  // namespace tide
