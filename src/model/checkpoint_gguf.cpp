#include <fmt/format.h>
#include <fmt/ranges.h>

#include <type_traits>

#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/gguf_config.h"
#include "model/gguf_weights.h"
#include "model/printable.h"

namespace tide {

namespace {

std::string value_text(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return printable(v);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return fmt::format("{}", v);
        } else {
          return fmt::format("{} values", v.size());
        }
      },
      value);
}

class GgufCheckpoint final : public Checkpoint {
 public:
  explicit GgufCheckpoint(const std::filesystem::path& path) : file_(path) {}

  std::string format() const override { return "GGUF file"; }
  std::vector<std::filesystem::path> files() const override { return file_.files(); }

  std::vector<std::pair<std::string, std::string>> written() const override {
    std::vector<std::pair<std::string, std::string>> values;
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with("tokenizer.")) values.emplace_back(printable(key), value_text(value));
    }
    return values;
  }

  ModelConfig config() const override { return read_gguf_config(file_); }
  TokenizerData tokenizer(int) const override { return read_tokenizer(file_); }
  const TensorSource& tensors() const override { return file_; }

  std::unique_ptr<Weights> collect_weights(WeightLoader& loader, const ModelConfig& config) const override {
    return collect_gguf_weights(loader, file_, config);
  }

 private:
  GgufFile file_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_gguf_checkpoint(const std::filesystem::path& path) {
  return std::make_unique<GgufCheckpoint>(path);
}

}  // namespace tide
