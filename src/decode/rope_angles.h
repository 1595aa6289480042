#pragma once
// Rotary angles of a position.

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace tide {

/// Cosines and sines of rotary position embedding (RoFormer, arXiv 2104.09864). The angle is a
/// product of two fp32 numbers, as in the programs that trained the models: at position 8000 a more
/// exact product would differ from theirs by half a thousandth.
class RopeAngles {
 public:
  explicit RopeAngles(const ModelConfig& config);

  int half_dim() const { return static_cast<int>(inverse_frequency_.size()); }
  /// cosine, sine: [head_dim / 2]
  void at(std::int64_t position, float* cosine, float* sine) const;

 private:
  std::vector<float> inverse_frequency_;
};

}  // namespace tide
