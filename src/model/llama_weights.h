#pragma once
// The weights of the llama architecture, whichever format they are stored in.

#include <memory>
#include <string>

#include "model/config.h"
#include "model/weight_loader.h"
#include "model/weights.h"

namespace tide {

/// What a format calls the tensors of a llama model. Those of a layer follow the layer's prefix.
struct LlamaNames {
  std::string embedding, final_norm, lm_head;
  std::string layers;  ///< "blk": layer 3's prefix is "blk.3."
  std::string attention_norm, q, k, v, output;
  std::string ffn_norm, gate, up, down;
  /// Rows of Q and K: false for half-split rotary pairs, true for interleaved ones.
  bool interleaved_pairs = false;
};

/// Collects every tensor of a model for `loader` to copy; with `tied` the LM head is the embedding. Throws
/// InputError naming the tensor that is missing, has another shape or does not fit the loader's type.
std::unique_ptr<Weights> collect_llama_weights(WeightLoader& loader, const ModelConfig& config,
                                               const LlamaNames& names, bool tied);

}  // namespace tide
