#pragma once
// A Llama-shaped model of a few thousand weights, built in memory: every test of the decoder runs on it.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/model.h"

namespace tide::testing {

/// 5 layers, 6 query heads on 2 KV heads, head_dim 16, hidden 80 (not n_heads * head_dim), 512 positions.
ModelConfig tiny_config();

/// 256 byte tokens, 41 merged pairs of letters, 3 special tokens: 300 in all, no chat template.
TokenizerData tiny_tokenizer_data();

/// Weights drawn from `seed`, so large that attention is far from uniform. The bf16 model has the fp32
/// model's weights rounded. With q8_0, whose rows are whole blocks of 32, hidden is 64 and ffn 96.
std::shared_ptr<const Model> tiny_model(WeightType type, std::uint64_t seed = 7);
/// The same of another configuration, its biases and norms of heads included.
std::shared_ptr<const Model> tiny_model(const ModelConfig& config, WeightType type, std::uint64_t seed = 7);
/// The same of fp32 or bf16.
std::shared_ptr<const Model> tiny_model(DType dtype, std::uint64_t seed = 7);

/// `count` token ids of the tiny vocabulary.
std::vector<std::int32_t> random_ids(std::int64_t count, std::uint64_t seed);

}  // namespace tide::testing
