#include "model/collect_weights.h"

#include <fmt/format.h>

namespace tide {

namespace {

/// Collects the tensors of one layer.
class LayerCollector {
 public:
  LayerCollector(WeightLoader& loader, const ModelConfig& config, const TensorNames& names, bool interleaved,
                 int layer)
      : loader_(loader),
        config_(config),
        names_(names),
        prefix_(fmt::format("{}.{}.", names.layers, layer)),
        permuted_head_dim_(interleaved ? config.head_dim : 0) {}

  LayerWeights collect() {
    const std::int64_t hidden = config_.hidden_size, ffn = config_.ffn_size;
    LayerWeights weights;
    weights.attention_norm = norm(names_.attention_norm, hidden);
    weights.qkv = loader_.stacked(qkv_parts(weight_name), hidden);
    if (config_.qkv_bias) weights.qkv_bias = loader_.stacked_vector(qkv_parts(bias_name));
    if (config_.qk_norm) {
      weights.q_norm = norm(names_.q_norm, config_.head_dim);
      weights.k_norm = norm(names_.k_norm, config_.head_dim);
    }
    weights.output = loader_.whole(weight(names_.output), hidden, q_rows());
    if (config_.output_bias) {
      weights.output_bias = loader_.vector(prefix_ + bias_name(names_.output), hidden);
    }
    weights.ffn_norm = norm(names_.ffn_norm, hidden);
    weights.gate_up = loader_.stacked({{weight(names_.gate), ffn}, {weight(names_.up), ffn}}, hidden);
    weights.down = loader_.whole(weight(names_.down), hidden, ffn);
    return weights;
  }

 private:
  std::int64_t q_rows() const { return std::int64_t{config_.n_heads} * config_.head_dim; }
  std::string weight(const std::string& part) const { return prefix_ + weight_name(part); }
  at::Tensor norm(const std::string& part, std::int64_t size) { return loader_.vector(weight(part), size); }

  std::vector<WeightPart> qkv_parts(std::string (*name)(const std::string&)) const {
    const std::int64_t kv_rows = std::int64_t{config_.n_kv_heads} * config_.head_dim;
    return {{prefix_ + name(names_.q), q_rows(), permuted_head_dim_},
            {prefix_ + name(names_.k), kv_rows, permuted_head_dim_},
            {prefix_ + name(names_.v), kv_rows}};
  }

  WeightLoader& loader_;
  const ModelConfig& config_;
  const TensorNames& names_;
  std::string prefix_;
  std::int64_t permuted_head_dim_;
};

}  // namespace

std::string weight_name(const std::string& part) { return part + ".weight"; }
std::string bias_name(const std::string& part) { return part + ".bias"; }

std::unique_ptr<Weights> collect_weights(WeightLoader& loader, const ModelConfig& config,
                                         const TensorNames& names, bool tied, bool interleaved) {
  auto weights = std::make_unique<Weights>();
  const auto table = [&](const std::string& part) {
    return loader.whole(weight_name(part), config.vocab_size, config.hidden_size);
  };
  weights->embedding = table(names.embedding);
  weights->lm_head = tied ? weights->embedding : table(names.lm_head);
  weights->final_norm = loader.vector(weight_name(names.final_norm), config.hidden_size);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    weights->layers.push_back(LayerCollector(loader, config, names, interleaved, layer).collect());
  }
  return weights;
}

}  // namespace tide
