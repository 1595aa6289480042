#pragma once
// Products of queries and keys as they were before their rotation, out of a cache of rotated keys.

#include <cstdint>
#include <vector>

#include "decode/policy.h"
#include "decode/reposition.h"
#include "decode/rope_angles.h"

namespace tide {

/// A rotation is orthogonal: turning a key back by its angle gives the key before it, but for the cache's own
/// rounding (bf16 and f16 caches round rotated keys; relative 2^-9 and 2^-12) and that of fp32 turns and
/// products (about 2^-21 of the vectors' lengths). A scaling's attention factor is divided out.
class RawScores {
 public:
  explicit RawScores(const ModelConfig& config);
  RawScores(const RawScores&) = delete;
  RawScores& operator=(const RawScores&) = delete;

  /// Queries before their rotation. rotated, raw: [n_heads, head_dim]
  void unrotate(const float* rotated, std::int64_t position, float* raw);

  /// Unscaled products of `raw_query` [n_heads, head_dim] with every key of [step.first, step.kv_len), and
  /// the logarithm of the sum of their exponentials. Valid until the next call.
  LayerScores of(const LayerStep& step, const float* raw_query);

 private:
  void take_keys(const LayerStep& step, std::int64_t begin, std::int64_t count);

  RopeAngles angles_;
  TurnTable turns_;
  int n_heads_, head_dim_;
  float factor_;                            // by which rotation lengthens
  std::vector<float> query_, key_;          // [n_heads, head_dim]; [n_kv_heads, block, head_dim]
  std::vector<float> score_, sum_, block_;  // [n_heads, stride]; [n_heads] of all; [n_heads] of a block
  std::vector<float> cosine_, sine_;        // [head_dim / 2]
  std::int64_t stride_ = 0;
};

}  // namespace tide
