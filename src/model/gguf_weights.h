#pragma once
// The weights of a GGUF file.

#include <memory>

#include "model/config.h"
#include "model/gguf.h"
#include "model/weight_type.h"
#include "model/weights.h"

namespace tide {

/// Every tensor, its matrices brought to `type` by a few threads; Q8_0 of the file stays bit for bit what it
/// is in q8_0. Throws InputError naming the tensor that is missing, has another shape or does not fit the
/// type.
std::unique_ptr<Weights> read_gguf_weights(const GgufFile& file, const ModelConfig& config, WeightType type);

}  // namespace tide
