#include "model/model.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/weights.h"

namespace tide {

std::size_t Weights::bytes() const {
  std::size_t total = embedding.bytes() + final_norm.nbytes();
  if (!lm_head.is_same(embedding)) total += lm_head.bytes();
  for (const LayerWeights& layer : layers) {
    for (const at::Tensor* vector : {&layer.attention_norm, &layer.ffn_norm, &layer.qkv_bias,
                                     &layer.output_bias, &layer.q_norm, &layer.k_norm}) {
      if (vector->defined()) total += vector->nbytes();
    }
    for (const Matrix* matrix : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down}) {
      total += matrix->bytes();
    }
  }
  return total;
}

Model::Model(ModelConfig config, Tokenizer tokenizer, std::unique_ptr<Weights> weights,
             std::filesystem::path path, WeightType weight_type)
    : config_(std::move(config)),
      tokenizer_(std::move(tokenizer)),
      weights_(std::move(weights)),
      path_(std::move(path)),
      weight_type_(weight_type) {}

Model::~Model() = default;

const std::string& Model::sha256() const {
  if (sha256_.empty()) sha256_ = sha256_of_checkpoint(path_);
  return sha256_;
}

std::string sha256_of_checkpoint(const std::filesystem::path& path) {
  const std::vector<std::filesystem::path> files = open_checkpoint(path)->files();
  if (files.size() == 1) return sha256_of_file(files[0]);
  const auto folder = std::filesystem::is_directory(path) ? path : path.parent_path();
  std::string list;
  for (const auto& file : files) {
    list += fmt::format("{}  {}\n", sha256_of_file(file), file.lexically_relative(folder).string());
  }
  return sha256_of(list);
}

std::shared_ptr<const Model> load_model(const std::filesystem::path& path, WeightType type) {
  const auto checkpoint = open_checkpoint(path);
  ModelConfig config = checkpoint->config();
  WeightLoader loader(checkpoint->tensors(), type);
  Tokenizer tokenizer(checkpoint->tokenizer(config.vocab_size));
  auto weights = checkpoint->collect_weights(loader, config);
  loader.run();
  return std::make_shared<Model>(std::move(config), std::move(tokenizer), std::move(weights), path, type);
}

}  // namespace tide
