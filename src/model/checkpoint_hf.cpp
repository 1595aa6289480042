#include <algorithm>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/hf_config.h"
#include "model/hf_weights.h"
#include "model/json_file.h"
#include "model/printable.h"
#include "model/safetensors.h"

namespace tide {

namespace {

namespace fs = std::filesystem;

class HfCheckpoint final : public Checkpoint {
 public:
  explicit HfCheckpoint(fs::path folder) : folder_(std::move(folder)) {
    if (!fs::exists(folder_ / "config.json")) {
      fail_input(
          "open {}: a folder without config.json; supported checkpoints are GGUF files and Hugging Face "
          "folders of config.json, tokenizer.json and safetensors",
          folder_.string());
    }
  }

  std::string format() const override { return "Hugging Face folder"; }

  std::vector<fs::path> files() const override {
    std::vector<std::string> names = safetensors_files(folder_);
    names.insert(names.end(), {"config.json", "tokenizer.json"});
    std::sort(names.begin(), names.end());
    std::vector<fs::path> paths;
    for (const std::string& name : names) paths.push_back(folder_ / name);
    return paths;
  }

  std::vector<std::pair<std::string, std::string>> written() const override {
    const JsonFields fields(folder_ / "config.json");
    std::vector<std::pair<std::string, std::string>> values;
    for (const auto& [key, value] : fields.members().items()) {
      values.emplace_back(printable(key), printable(value.dump()));
    }
    return values;
  }

  ModelConfig config() const override { return read_hf_config(folder_).model; }

  TokenizerData tokenizer(int vocab_size) const override {
    // The embedding's rows are in the file: a forged size must not ask for room first.
    check_embedding(tensors(), config());
    return read_hf_tokenizer(folder_, vocab_size);
  }

  const TensorSource& tensors() const override {
    if (!tensors_) tensors_ = std::make_unique<SafetensorsFolder>(folder_);
    return *tensors_;
  }

  std::unique_ptr<Weights> collect_weights(WeightLoader& loader, const ModelConfig&) const override {
    return collect_hf_weights(loader, read_hf_config(folder_));
  }

 private:
  fs::path folder_;
  mutable std::unique_ptr<SafetensorsFolder> tensors_;  // mapped when first asked for
};

}  // namespace

std::unique_ptr<Checkpoint> open_hf_checkpoint(const fs::path& folder) {
  return std::make_unique<HfCheckpoint>(folder);
}

}  // namespace tide
