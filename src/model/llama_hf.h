#pragma once
// Models of the llama architecture from Hugging Face folders.

#include <filesystem>
#include <memory>

#include "model/config.h"
#include "model/tensor_source.h"
#include "model/weights.h"

namespace tide {

/// What config.json says of a LlamaForCausalLM.
struct LlamaHfConfig {
  ModelConfig model;
  bool tied = false;  ///< the LM head is the embedding
};

/// Reads `folder`/config.json, as transformers 5 writes it (rope_parameters) or earlier ones (rope_theta,
/// rope_scaling). Throws InputError naming the file, the field and its value: another architecture, what
/// would change the arithmetic and is not supported (scaled rotary frequencies, biases, another activation,
/// quantised weights), a size that is missing, not positive, above 2^30 or does not divide.
LlamaHfConfig read_llama_hf_config(const std::filesystem::path& folder);

/// Every tensor, its matrices brought to `type` by a few threads. Throws InputError naming the tensor that is
/// missing, has another shape, does not fit the type, or has no place in the model.
std::unique_ptr<Weights> read_llama_hf_weights(const TensorSource& source, const LlamaHfConfig& config,
                                               WeightType type);

/// The embedding has the shape that the configuration says: sizes are the file's then, and no forged ones.
/// Throws InputError.
void check_embedding(const TensorSource& source, const ModelConfig& config);

}  // namespace tide
