#pragma once
// Writes small Hugging Face folders for tests, sound or wrong on purpose.

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/tokenizer.h"

namespace tide::testing {

/// What a folder of a llama model holds; members are edited before `write`.
struct HfFolder {
  struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> data;
  };
  nlohmann::json config, tokenizer;
  std::map<std::string, Tensor> tensors;

  /// One model.safetensors in fp32, or with more shards an index and files named like transformers' own.
  void write(const std::filesystem::path& folder, int n_shards = 1) const;
};

/// A sound folder of the tiny model's shape: tensors filled from `seed`, an LM head of its own, the tiny
/// tokenizer.
HfFolder tiny_hf(std::uint64_t seed = 7);

/// A tokenizer.json of this vocabulary, byte-level after GPT-2's pattern.
nlohmann::json tokenizer_json(const TokenizerData& data);

}  // namespace tide::testing
