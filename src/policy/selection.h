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
};

const char* sharing_name(Sharing sharing);
/// Sets of a model.
int set_count(Sharing sharing, const ModelConfig& config);
/// Takes key sharing. Throws InputError.
Sharing take_sharing(PolicySpec& spec, const std::string& fallback);

/// Takes keys budget, sharing, sinks, recent; `paper`: what `budget=paper` means, null: nothing. Throws
/// InputError.
SelectionRule take_selection_rule(PolicySpec& spec, const ModelConfig& config,
                                  const std::string& default_budget = "64",
                                  const std::string& default_sharing = "head",
                                  const BudgetShare* paper = nullptr);

/// Key `key`, positions that are always in a set: a number, or "paper", the default, which gives -1. Throws
/// InputError.
int take_forced(PolicySpec& spec, const std::string& key, const ModelConfig& config);

/// Which set each query head reads when every layer keeps its own heads: [n_heads].
std::vector<std::int32_t> identity_sets(Sharing sharing, const ModelConfig& config);

/// Makes room for sets of `width` positions, with their readers if there are none yet; counts are `width`.
void resize_sets(Sharing sharing, const ModelConfig& config, std::int64_t width, PositionSets& out);

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
