#include "model/model.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "model/gguf.h"
#include "model/gguf_config.h"
#include "model/gguf_weights.h"
#include "model/hf_config.h"
#include "model/hf_weights.h"
#include "model/safetensors.h"
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

namespace {

bool is_gguf(const std::filesystem::path& path) {
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::memcmp(magic.data(), "GGUF", magic.size()) == 0;
}

/// Of the lines "DIGEST  NAME" of the files of a folder.
std::string sha256_of_list(const std::filesystem::path& folder, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string list;
  for (const std::string& name : names) list += fmt::format("{}  {}\n", sha256_of_file(folder / name), name);
  return sha256_of(list);
}

std::shared_ptr<const Model> load_gguf(const std::filesystem::path& path, WeightType type) {
  const GgufFile file(path);
  ModelConfig config = read_gguf_config(file);
  Tokenizer tokenizer(read_tokenizer(file));
  auto weights = read_gguf_weights(file, config, type);
  return std::make_shared<Model>(std::move(config), std::move(tokenizer), std::move(weights), path, type);
}

std::shared_ptr<const Model> load_hf_folder(const std::filesystem::path& path, WeightType type) {
  if (!std::filesystem::exists(path / "config.json")) {
    fail_input(
        "open {}: a folder without config.json; supported checkpoints are GGUF files and Hugging Face "
        "folders of config.json, tokenizer.json and safetensors",
        path.string());
  }
  HfConfig config = read_hf_config(path);
  const SafetensorsFolder tensors(path);
  check_embedding(tensors, config.model);
  Tokenizer tokenizer(read_hf_tokenizer(path, config.model.vocab_size));
  auto weights = read_hf_weights(tensors, config, type);
  return std::make_shared<Model>(std::move(config.model), std::move(tokenizer), std::move(weights), path,
                                 type);
}

}  // namespace

std::string sha256_of_checkpoint(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    std::vector<std::string> names = safetensors_files(path);
    names.insert(names.end(), {"config.json", "tokenizer.json"});
    return sha256_of_list(path, std::move(names));
  }
  std::vector<std::string> names;
  if (is_gguf(path)) {
    for (const auto& file : GgufFile(path).files()) names.push_back(file.filename().string());
  }
  return names.size() > 1 ? sha256_of_list(path.parent_path(), std::move(names)) : sha256_of_file(path);
}

std::shared_ptr<const Model> load_model(const std::filesystem::path& path, WeightType type) {
  if (!std::filesystem::exists(path)) fail_input("open {}: no such file", path.string());
  if (std::filesystem::is_directory(path)) return load_hf_folder(path, type);
  if (!std::filesystem::is_regular_file(path)) {
    fail_input("open {}: neither a regular file nor a folder", path.string());
  }
  if (!is_gguf(path)) {
    fail_input("{}: byte 0: not a GGUF file; supported checkpoints are GGUF files and Hugging Face folders",
               path.string());
  }
  return load_gguf(path, type);
}

}  // namespace tide
