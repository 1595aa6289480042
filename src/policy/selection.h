#pragma once
// From scores to sets: exact top-k with forced positions, one set a head, a group, or one for all.

#include <cstdint>
#include <string>
#include <vector>

#include "decode/policy.h"
#include "policy/budget.h"

namespace tide {

class PolicySpec;

enum class Sharing { head, group, all };

/// How a set is chosen from full attention's scores.
struct SelectionRule {
  Budget budget;
  Sharing sharing = Sharing::head;
  int sinks = 0;   ///< first positions, always in a set
  int recent = 0;  ///< last positions, always in a set

  int n_sets(const ModelConfig& config) const;
};

const char* sharing_name(Sharing sharing);

/// Takes keys budget, sharing, sinks, recent. Throws InputError.
SelectionRule take_selection_rule(PolicySpec& spec, const ModelConfig& config);

/// Which set each query head reads when every layer keeps its own heads: [n_heads].
std::vector<std::int32_t> identity_sets(Sharing sharing, const ModelConfig& config);

/// Chooses sets and reuses its buffers from step to step.
class Selector {
 public:
  /// Fills `out` (set_of_head included). sharing head: by scaled dot product; group and all: by the
  /// sum of probabilities over the sharing heads.
  void choose(const SelectionRule& rule, const LayerStep& step, const LayerScores& scores, PositionSets& out);
  /// The same from given values, one row a set: value [n_sets, stride].
  void choose_by_value(const SelectionRule& rule, const LayerStep& step, const float* value,
                       std::int64_t stride, PositionSets& out);

 private:
  std::vector<float> pooled_;  // [n_sets, kv_len]
};

}  // namespace tide
