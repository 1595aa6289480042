#pragma once
// Weights as LibTorch tensors: one memory for prefill's GEMMs and for the decode step's kernels.

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/types.h"
#include "model/config.h"

namespace tide {

/// Matrices are [n_out, n_in] in the model's dtype; norms are fp32. Rows of Q and K are in the
/// half-split order of rotary pairs (i, i + head_dim / 2).
struct LayerWeights {
  at::Tensor attention_norm;  ///< [hidden]
  at::Tensor qkv;             ///< [(n_heads + 2 n_kv_heads) * head_dim, hidden]: Q, then K, then V
  at::Tensor output;          ///< [hidden, n_heads * head_dim]
  at::Tensor ffn_norm;        ///< [hidden]
  at::Tensor gate_up;         ///< [2 ffn, hidden]: gate, then up
  at::Tensor down;            ///< [hidden, ffn]
};

struct Weights {
  at::Tensor embedding;   ///< [vocab, hidden]
  at::Tensor lm_head;     ///< [vocab, hidden]; the embedding itself when tied
  at::Tensor final_norm;  ///< [hidden]
  std::vector<LayerWeights> layers;

  /// Bytes of all tensors, a tied one counted once.
  std::size_t bytes() const;
};

}  // namespace tide
