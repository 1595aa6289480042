#include "decode/qkv_row.h"

#include <algorithm>
#include <functional>

#include "kernels/elementwise.h"

namespace tide {

namespace {

void add_bias(const at::Tensor& bias, float* row) {
  if (!bias.defined()) return;
  std::transform(row, row + bias.numel(), bias.const_data_ptr<float>(), row, std::plus<>());
}

/// heads: [n_heads, head_dim]
void norm_heads(const ModelConfig& config, const at::Tensor& weight, int n_heads, float* heads) {
  kernels::cpu::rms_norm(
      {heads, weight.const_data_ptr<float>(), heads, n_heads, config.head_dim, config.rms_epsilon});
}

}  // namespace

void finish_qkv(const ModelConfig& config, const LayerWeights& weights, const float* cosine,
                const float* sine, float* qkv) {
  add_bias(weights.qkv_bias, qkv);
  if (weights.q_norm.defined()) {
    norm_heads(config, weights.q_norm, config.n_heads, qkv);
    norm_heads(config, weights.k_norm, config.n_kv_heads, qkv + config.n_heads * config.head_dim);
  }
  kernels::cpu::rope({qkv, cosine, sine, config.n_heads + config.n_kv_heads, config.head_dim});
}

void add_output_bias(const LayerWeights& weights, std::int64_t n_rows, float* hidden) {
  if (!weights.output_bias.defined()) return;
  for (std::int64_t row = 0; row < n_rows; ++row) {
    add_bias(weights.output_bias, hidden + row * weights.output_bias.numel());
  }
}

}  // namespace tide
