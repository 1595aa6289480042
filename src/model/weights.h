#pragma once
// A model's weights: one memory for prefill's products and for the decode step's.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/config.h"
#include "model/matrix.h"

namespace tide {

/// Matrices are in the model's weight type; norms and biases are fp32. Rows of Q and K are in the half-split
/// order of rotary pairs (i, i + head_dim / 2).
struct LayerWeights {
  at::Tensor attention_norm;  ///< [hidden]
  Matrix qkv;                 ///< [(n_heads + 2 n_kv_heads) * head_dim, hidden]: Q, then K, then V
  Matrix output;              ///< [hidden, n_heads * head_dim]
  at::Tensor qkv_bias;        ///< [(n_heads + 2 n_kv_heads) * head_dim]; undefined: none, as the next three
  at::Tensor output_bias;     ///< [hidden]
  at::Tensor q_norm, k_norm;  ///< [head_dim]: of every head
  at::Tensor ffn_norm;        ///< [hidden]
  Matrix gate_up;             ///< [2 ffn, hidden]: gate, then up
  Matrix down;                ///< [hidden, ffn]
};

struct Weights {
  Matrix embedding;       ///< [vocab, hidden]
  Matrix lm_head;         ///< [vocab, hidden]; the embedding itself when tied
  at::Tensor final_norm;  ///< [hidden]
  std::vector<LayerWeights> layers;

  /// Bytes of all of them, a tied one counted once.
  std::size_t bytes() const;
};

}  // namespace tide
