#pragma once
// The weights of a Hugging Face folder.

#include <memory>

#include "model/hf_config.h"
#include "model/tensor_source.h"
#include "model/weight_type.h"
#include "model/weights.h"

namespace tide {

/// Every tensor, its matrices brought to `type` by a few threads. Throws InputError naming the tensor that is
/// missing, has another shape, does not fit the type, or has no place in the model.
std::unique_ptr<Weights> read_hf_weights(const TensorSource& source, const HfConfig& config, WeightType type);

/// The embedding has the shape that the configuration says: sizes are the file's then, and no forged ones.
/// Throws InputError.
void check_embedding(const TensorSource& source, const ModelConfig& config);

}  // namespace tide
