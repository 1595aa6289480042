#include "model/llama_weights.h"

#include <fmt/format.h>

namespace tide {

namespace {

LayerWeights collect_layer(WeightLoader& loader, const ModelConfig& config, const LlamaNames& names,
                           int layer) {
  const std::string prefix = fmt::format("{}.{}.", names.layers, layer);
  const std::int64_t hidden = config.hidden_size, ffn = config.ffn_size, head_dim = config.head_dim;
  const std::int64_t q_rows = config.n_heads * head_dim, kv_rows = config.n_kv_heads * head_dim;
  const std::int64_t permuted_head_dim = names.interleaved_pairs ? head_dim : 0;
  LayerWeights weights;
  weights.attention_norm = loader.vector(prefix + names.attention_norm, hidden);
  weights.qkv = loader.stacked({{prefix + names.q, q_rows, permuted_head_dim},
                                {prefix + names.k, kv_rows, permuted_head_dim},
                                {prefix + names.v, kv_rows}},
                               hidden);
  weights.output = loader.whole(prefix + names.output, hidden, q_rows);
  weights.ffn_norm = loader.vector(prefix + names.ffn_norm, hidden);
  weights.gate_up = loader.stacked({{prefix + names.gate, ffn}, {prefix + names.up, ffn}}, hidden);
  weights.down = loader.whole(prefix + names.down, hidden, ffn);
  return weights;
}

}  // namespace

std::unique_ptr<Weights> collect_llama_weights(WeightLoader& loader, const ModelConfig& config,
                                               const LlamaNames& names, bool tied) {
  auto weights = std::make_unique<Weights>();
  weights->embedding = loader.whole(names.embedding, config.vocab_size, config.hidden_size);
  weights->lm_head =
      tied ? weights->embedding : loader.whole(names.lm_head, config.vocab_size, config.hidden_size);
  weights->final_norm = loader.vector(names.final_norm, config.hidden_size);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    weights->layers.push_back(collect_layer(loader, config, names, layer));
  }
  return weights;
}

}  // namespace tide
