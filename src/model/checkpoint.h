#pragma once
// A checkpoint of any supported format, read part by part.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/tensor_source.h"
#include "model/tokenizer.h"
#include "model/weight_loader.h"
#include "model/weights.h"

namespace tide {

/// Each part throws InputError by itself, so that what is wrong with one does not hide the others.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  /// "GGUF file" or "Hugging Face folder"
  virtual std::string format() const = 0;
  /// The files that make it what it is: its digest is theirs. Those of a folder by their names, ascending.
  virtual std::vector<std::filesystem::path> files() const = 0;
  /// The hyper-parameters as they are written, unchecked: (key, value).
  virtual std::vector<std::pair<std::string, std::string>> written() const = 0;

  virtual ModelConfig config() const = 0;
  /// `vocab_size`: the model's.
  virtual TokenizerData tokenizer(int vocab_size) const = 0;
  virtual const TensorSource& tensors() const = 0;
  /// Every tensor, for `loader` to copy: each is there, has its shape and its place, and fits the loader's
  /// type. `config`: this checkpoint's; `loader`: of its tensors.
  virtual std::unique_ptr<Weights> collect_weights(WeightLoader& loader, const ModelConfig& config) const = 0;
};

/// A folder, or a file that begins as GGUF files do.
bool looks_like_checkpoint(const std::filesystem::path& path);

/// Opens a GGUF file, or a folder of config.json, tokenizer.json and safetensors. Throws InputError: there is
/// nothing of the kind, or a GGUF file is unsound.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

std::unique_ptr<Checkpoint> open_gguf_checkpoint(const std::filesystem::path& path);
std::unique_ptr<Checkpoint> open_hf_checkpoint(const std::filesystem::path& folder);

}  // namespace tide
