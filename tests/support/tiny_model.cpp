#include "tests/support/tiny_model.h"

#include <ATen/ops/empty.h>

#include <random>

#include "base/error.h"
#include "model/weight_memory.h"
#include "model/weights.h"

namespace tide::testing {

namespace {

std::string utf8(int code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3F))};
}

/// GPT-2's printable stand-ins for the 256 bytes, in the order of its vocabulary.
std::vector<std::string> byte_alphabet() {
  std::vector<std::string> alphabet;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    if (printable) alphabet.push_back(utf8(byte));
  }
  for (int other = 0; alphabet.size() < 256; ++other) alphabet.push_back(utf8(256 + other));
  return alphabet;
}

class Draw {
 public:
  Draw(std::uint64_t seed, WeightType type) : random_(seed), type_(type) {}

  Matrix matrix(std::int64_t rows, std::int64_t columns, float deviation) {
    const at::Tensor drawn = normal({rows, columns}, 0, deviation);
    Matrix stored = memory_.matrix(type_, rows, columns);
    for (std::int64_t row = 0; row < rows; ++row) {
      TIDE_ASSERT(stored.store_row(row, drawn.const_data_ptr<float>() + row * columns));
    }
    return stored;
  }
  at::Tensor norm(std::int64_t size) { return normal({size}, 1, 0.1f); }
  at::Tensor bias(std::int64_t size) { return normal({size}, 0, 0.3f); }

 private:
  at::Tensor normal(at::IntArrayRef shape, float mean, float deviation) {
    at::Tensor drawn = at::empty(shape, at::kFloat);
    std::normal_distribution<float> draw(mean, deviation);
    float* value = drawn.data_ptr<float>();
    for (std::int64_t i = 0; i < drawn.numel(); ++i) value[i] = draw(random_);
    return drawn;
  }

  std::mt19937_64 random_;
  WeightType type_;
  WeightMemory memory_{std::size_t{16} << 20};
};

}  // namespace

ModelConfig tiny_config() {
  ModelConfig config;
  config.name = "tiny";
  config.architecture = "llama";
  config.n_layers = 5;
  config.n_heads = 6;
  config.n_kv_heads = 2;
  config.head_dim = 16;
  config.hidden_size = 80;
  config.ffn_size = 112;
  config.vocab_size = 300;
  config.max_positions = 512;
  return config;
}

TokenizerData tiny_tokenizer_data() {
  TokenizerData data;
  data.tokens = byte_alphabet();
  for (int pair = 0; pair < 41; ++pair) {
    const std::string left(1, static_cast<char>('a' + pair / 8)), right(1, static_cast<char>('a' + pair % 8));
    data.merges.push_back(left + " " + right);
    data.tokens.push_back(left + right);
  }
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
    data.tokens.emplace_back(special);
  data.is_special.assign(data.tokens.size(), false);
  std::fill(data.is_special.end() - 3, data.is_special.end(), true);
  data.split = "gpt2";
  data.bos_id = 297;
  data.eos_id = 299;
  return data;
}

std::shared_ptr<const Model> tiny_model(DType dtype, std::uint64_t seed) {
  TIDE_ASSERT(dtype != DType::f16);
  return tiny_model(dtype == DType::f32 ? WeightType::f32 : WeightType::bf16, seed);
}

std::shared_ptr<const Model> tiny_model(WeightType type, std::uint64_t seed) {
  ModelConfig config = tiny_config();
  if (type == WeightType::q8_0) {
    config.hidden_size = 64;
    config.ffn_size = 96;
  }
  return tiny_model(config, type, seed);
}

std::shared_ptr<const Model> tiny_model(const ModelConfig& config, WeightType type, std::uint64_t seed) {
  const std::int64_t hidden = config.hidden_size, ffn = config.ffn_size;
  const std::int64_t q_rows = config.n_heads * config.head_dim;
  const std::int64_t qkv_rows = q_rows + 2 * config.n_kv_heads * config.head_dim;
  Draw draw(seed, type);
  auto weights = std::make_unique<Weights>();
  weights->embedding = draw.matrix(config.vocab_size, hidden, 1);
  weights->lm_head = draw.matrix(config.vocab_size, hidden, 0.2f);
  weights->final_norm = draw.norm(hidden);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    LayerWeights of;
    of.attention_norm = draw.norm(hidden);
    of.qkv = draw.matrix(qkv_rows, hidden, 0.15f);
    of.output = draw.matrix(hidden, q_rows, 0.1f);
    of.ffn_norm = draw.norm(hidden);
    of.gate_up = draw.matrix(2 * ffn, hidden, 0.1f);
    of.down = draw.matrix(hidden, ffn, 0.1f);
    if (config.qkv_bias) of.qkv_bias = draw.bias(qkv_rows);
    if (config.output_bias) of.output_bias = draw.bias(hidden);
    if (config.qk_norm) of.q_norm = draw.norm(config.head_dim), of.k_norm = draw.norm(config.head_dim);
    weights->layers.push_back(std::move(of));
  }
  return std::make_shared<Model>(config, Tokenizer(tiny_tokenizer_data()), std::move(weights), "tiny.gguf",
                                 type);
}

std::vector<std::int32_t> random_ids(std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int32_t> id(0, tiny_config().vocab_size - 1);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (std::int32_t& value : ids) value = id(random);
  return ids;
}

}  // namespace tide::testing
