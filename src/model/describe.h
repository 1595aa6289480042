#pragma once
// What a checkpoint is, whether it loads, and what it takes, without loading it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/types.h"
#include "model/config.h"
#include "model/weight_type.h"

namespace tide {

/// Tensors stored in one type.
struct StoredKind {
  std::string type;  ///< "Q4_1"
  std::int64_t tensors = 0, weights = 0;
  std::uint64_t bytes = 0;
};

struct TokenizerFacts {
  int tokens = 0;
  std::int32_t bos_id = -1;
  bool add_bos = false;
};

/// Something that would be refused, and the refusal.
struct Refusal {
  std::string what;  ///< "loading", "--dtype q8_0", "the chat template"
  std::string message;
};

struct ModelFacts {
  std::string format;  ///< "GGUF file"
  std::uint64_t file_bytes = 0;
  std::optional<ModelConfig> config;                         ///< none: refused
  std::vector<std::pair<std::string, std::string>> written;  ///< hyper-parameters as written, unchecked
  std::vector<StoredKind> stored;                            ///< by falling bytes; empty: refused
  std::vector<std::pair<WeightType, std::uint64_t>>
      in_memory;                            ///< bytes of the weights in each type that is taken
  std::optional<TokenizerFacts> tokenizer;  ///< none: refused
  std::vector<Refusal> refusals;

  bool loads() const;
};

/// Looks at each part of a checkpoint by itself; the weights' values are not read. Throws InputError where
/// there is nothing to describe: no such file, no model, an unsound GGUF file.
ModelFacts describe_model(const std::filesystem::path& path);

/// Bytes of the KV cache for one position of one sequence, over all layers.
std::int64_t kv_bytes_a_position(const ModelConfig& config, kernels::DType dtype);

}  // namespace tide
