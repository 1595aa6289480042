#include "decode/rope_angles.h"

#include <cmath>

namespace tide {

RopeAngles::RopeAngles(const ModelConfig& config) {
  for (int i = 0; i < config.head_dim; i += 2) {
    inverse_frequency_.push_back(
        static_cast<float>(std::pow(config.rope_theta, -static_cast<double>(i) / config.head_dim)));
  }
}

void RopeAngles::at(std::int64_t position, float* cosine, float* sine) const {
  for (std::size_t i = 0; i < inverse_frequency_.size(); ++i) {
    const float angle = static_cast<float>(position) * inverse_frequency_[i];
    cosine[i] = std::cos(angle);
    sine[i] = std::sin(angle);
  }
}

}  // namespace tide
