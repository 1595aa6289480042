#pragma once
// The weights of a GGUF file.

#include <memory>

#include "model/config.h"
#include "model/gguf.h"
#include "model/weight_loader.h"
#include "model/weights.h"

namespace tide {

/// Every tensor, for `loader` to copy; Q8_0 of the file stays bit for bit what it is in q8_0. Throws
/// InputError naming the tensor that is missing, has another shape or does not fit the loader's type.
std::unique_ptr<Weights> collect_gguf_weights(WeightLoader& loader, const GgufFile& file,
                                              const ModelConfig& config);

}  // namespace tide
