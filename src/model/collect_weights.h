#pragma once
// The weights of a model, whichever format they are stored in.

#include <memory>
#include <string>

#include "model/config.h"
#include "model/weight_loader.h"
#include "model/weights.h"

namespace tide {

/// What a format calls the parts of a model; a part's tensors are PART.weight and PART.bias. Those of a layer
/// follow the layer's prefix.
struct TensorNames {
  std::string embedding, final_norm, lm_head;
  std::string layers;  ///< "blk": layer 3's prefix is "blk.3."
  std::string attention_norm, q, k, v, output, q_norm, k_norm;
  std::string ffn_norm, gate, up, down;
};

std::string weight_name(const std::string& part);
std::string bias_name(const std::string& part);

/// Collects every tensor of a model for `loader` to copy; with `tied` the LM head is the embedding, with
/// `interleaved` rows of Q and K stand as interleaved rotary pairs. Throws InputError naming the tensor that
/// is missing, has another shape or does not fit the loader's type.
std::unique_ptr<Weights> collect_weights(WeightLoader& loader, const ModelConfig& config,
                                         const TensorNames& names, bool tied, bool interleaved = false);

}  // namespace tide
