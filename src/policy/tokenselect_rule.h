#pragma once
// What TokenSelect's decoding and its pass over the prompt have in common: who votes for what.

#include <cstdint>
#include <memory>
#include <span>

#include "decode/policy.h"
#include "policy/budget.h"
#include "policy/raw_scores.h"
#include "policy/selection.h"

namespace tide {

class PolicySpec;

struct TokenSelectRule {
  /// Takes keys n_init, n_local, budget, positions, scores. Throws InputError.
  TokenSelectRule(PolicySpec& spec, const ModelConfig& config);

  std::int64_t first_of(std::int64_t width) const { return n_init >= 0 ? n_init : width * 128 / 2688; }
  std::int64_t last_of(std::int64_t width) const { return n_local >= 0 ? n_local : width * 512 / 2688; }

  /// The first, the last and the voted positions of [0, kv_len): one set for all heads.
  void choose(const LayerStep& step, const LayerScores& scores, Selector& selector, PositionSets& sets) const;

  int n_init, n_local;  ///< -1: the paper's shares
  Budget budget;
  bool contiguous;
  bool raw;  ///< products of queries and keys before their rotation vote
};

/// Reads the prompt by the vote of a chunk's mean query (arXiv 2411.02886: chunks of the prefill)
/// in layers that estimate. The mean of queries gives the mean of their products.
std::unique_ptr<PromptReader> make_tokenselect_reader(const TokenSelectRule& rule, const ModelConfig& config,
                                                      std::span<const Role> placement);

}  // namespace tide
