#pragma once
// What becomes of a row of queries, keys and values between their product and attention; the same for a
// prompt's row and for a step's, bit for bit.

#include "model/config.h"
#include "model/weights.h"

namespace tide {

/// Adds the biases, brings each head of Q and K to unit root mean square (RMSNorm with the layer's weights)
/// and rotates it, where the model has these. qkv: [n_heads + 2 n_kv_heads, head_dim]; cosine, sine:
/// [head_dim / 2] at the row's position.
void finish_qkv(const ModelConfig& config, const LayerWeights& weights, const float* cosine,
                const float* sine, float* qkv);

/// Adds the bias of attention's output product to rows of the residual stream, where the model has one.
/// hidden: [n_rows, hidden]
void add_output_bias(const LayerWeights& weights, std::int64_t n_rows, float* hidden);

}  // namespace tide
