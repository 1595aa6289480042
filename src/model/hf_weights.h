#pragma once
// The weights of a Hugging Face folder.

#include <memory>

#include "model/hf_config.h"
#include "model/tensor_source.h"
#include "model/weight_loader.h"
#include "model/weights.h"

namespace tide {

/// Every tensor, for `loader` to copy. Throws InputError naming the tensor that is missing, has another
/// shape, does not fit the loader's type, or has no place in the model.
std::unique_ptr<Weights> collect_hf_weights(WeightLoader& loader, const HfConfig& config);

/// The embedding has the shape that the configuration says: sizes are the file's then, and no forged ones.
/// Throws InputError.
void check_embedding(const TensorSource& source, const ModelConfig& config);

}  // namespace tide
