#pragma once
// Models of the llama architecture from GGUF files.

#include <memory>

#include "model/config.h"
#include "model/gguf.h"
#include "model/weights.h"

namespace tide {

/// Hyper-parameters of `llama.*` metadata. Throws InputError naming the key, also for what would
/// change the arithmetic and is not supported (another architecture, RoPE scaling).
ModelConfig read_llama_config(const GgufFile& file);

/// Every tensor, its matrices brought to `type` by a few threads; Q8_0 of the file stays bit for bit what it
/// is in q8_0. Throws InputError naming the tensor that is missing, has another shape or does not fit the
/// type.
std::unique_ptr<Weights> read_llama_weights(const GgufFile& file, const ModelConfig& config, WeightType type);

}  // namespace tide
