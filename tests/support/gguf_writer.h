#pragma once
// Writes small GGUF v3 files for tests, sound or wrong on purpose.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace tide::testing {

/// Tensors and metadata of the kinds that a llama checkpoint has; fields are edited before `write`.
struct GgufWriter {
  using Value =
      std::variant<std::uint32_t, float, std::string, std::vector<std::string>, std::vector<std::int32_t>>;
  struct Tensor {
    std::vector<std::int64_t> shape;  ///< outermost first
    std::vector<float> data;
    std::vector<std::byte> q8_0;  ///< not empty: the blocks of a Q8_0 tensor, in place of F32 data
  };
  std::map<std::string, Value> metadata;
  std::map<std::string, Tensor> tensors;

  void write(const std::filesystem::path& path) const;
  /// The same over several files, `stem`-00001-of-…gguf and on, split as gguf-split does it. Returns the
  /// first.
  std::filesystem::path write_split(const std::filesystem::path& folder, const std::string& stem,
                                    std::uint32_t n_files) const;
};

/// A sound file of the tiny model's shape: tensors filled from `seed`, tied LM head, gpt2 tokenizer.
GgufWriter tiny_gguf(std::uint64_t seed = 7);

}  // namespace tide::testing
