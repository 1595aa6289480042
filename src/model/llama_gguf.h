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

/// Every tensor, dequantised into `dtype` (f32 or bf16) by a few threads. Throws InputError naming
/// the tensor that is missing or has another shape.
std::unique_ptr<Weights> read_llama_weights(const GgufFile& file, const ModelConfig& config,
                                            kernels::DType dtype);

}  // namespace tide
