#pragma once
// A loaded model: configuration, tokenizer and weights.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kernels/types.h"
#include "model/config.h"
#include "model/tokenizer.h"
#include "model/weight_type.h"

namespace tide {

using kernels::DType;

struct Weights;  // model/weights.h, which sees LibTorch

/// An immutable model, shared by every decoder that runs it.
class Model {
 public:
  Model(ModelConfig config, Tokenizer tokenizer, std::unique_ptr<Weights> weights, std::filesystem::path path,
        WeightType weight_type);
  ~Model();

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const Weights& weights() const { return *weights_; }
  const std::filesystem::path& path() const { return path_; }
  WeightType weight_type() const { return weight_type_; }
  /// The type in which products of many rows see the weights: their own, bf16 for 8-bit ones.
  DType dense_dtype() const { return weight_type_ == WeightType::f32 ? DType::f32 : DType::bf16; }
  /// sha256_of_checkpoint, computed once when first asked for.
  const std::string& sha256() const;

 private:
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::unique_ptr<Weights> weights_;
  std::filesystem::path path_;
  WeightType weight_type_;
  mutable std::string sha256_;
};

/// The digest by which recordings and head maps know a checkpoint, in lower-case hexadecimal. A file: SHA-256
/// of its bytes. A GGUF checkpoint split over several files, or a Hugging Face folder: SHA-256 of the lines
/// "DIGEST  NAME" (two spaces, each line ended by a newline) of its files, in ascending order of their names'
/// bytes. Those of a folder are config.json, tokenizer.json and the safetensors files that hold the weights.
/// So it is what `sha256sum NAME-*-of-00003.gguf | sha256sum` prints, or
/// `sha256sum config.json model*.safetensors tokenizer.json | sha256sum`. Throws InputError.
std::string sha256_of_checkpoint(const std::filesystem::path& path);

/// Loads a checkpoint with its weights in `type`: a GGUF file (the first of a split one's), or a Hugging Face
/// folder (config.json, tokenizer.json, safetensors). Throws InputError naming the file and what is wrong
/// with it.
std::shared_ptr<const Model> load_model(const std::filesystem::path& path, WeightType type);

}  // namespace tide
