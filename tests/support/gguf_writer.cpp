#include "tests/support/gguf_writer.h"

#include <fmt/format.h>

#include <fstream>
#include <random>

#include "tests/model/gguf_builder.h"
#include "tests/support/checkpoint_checks.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {

namespace {

constexpr std::size_t kAlignment = 32;
constexpr std::uint32_t kTensorF32 = 0, kTensorQ8 = 8;

// Value kinds by their number in the file.
enum : std::uint32_t { kUint32 = 4, kInt32 = 5, kFloat32 = 6, kString = 8, kArray = 9 };

struct WriteValue {
  GgufBytes& to;
  void operator()(std::uint32_t value) const { to.u32(kUint32).put(value); }
  void operator()(float value) const { to.u32(kFloat32).put(value); }
  void operator()(const std::string& value) const { to.u32(kString).str(value); }
  void operator()(const std::vector<std::string>& values) const {
    to.u32(kArray).u32(kString).u64(values.size());
    for (const std::string& value : values) to.str(value);
  }
  void operator()(const std::vector<std::int32_t>& values) const {
    to.u32(kArray).u32(kInt32).u64(values.size());
    for (const std::int32_t value : values) to.put(value);
  }
};

void add_tokenizer(GgufWriter& file) {
  const TokenizerData data = tiny_tokenizer_data();
  std::vector<std::int32_t> kinds;
  for (const bool special : data.is_special) kinds.push_back(special ? 3 : 1);
  file.metadata["tokenizer.ggml.model"] = std::string("gpt2");
  file.metadata["tokenizer.ggml.pre"] = std::string("gpt-2");
  file.metadata["tokenizer.ggml.tokens"] = data.tokens;
  file.metadata["tokenizer.ggml.merges"] = data.merges;
  file.metadata["tokenizer.ggml.token_type"] = kinds;
  file.metadata["tokenizer.ggml.bos_token_id"] = static_cast<std::uint32_t>(data.bos_id);
  file.metadata["tokenizer.ggml.eos_token_id"] = static_cast<std::uint32_t>(data.eos_id);
}

}  // namespace

void GgufWriter::write(const std::filesystem::path& path) const {
  GgufBytes head, data;
  head.header(tensors.size(), metadata.size());
  for (const auto& [key, value] : metadata) {
    head.str(key);
    std::visit(WriteValue{head}, value);
  }
  for (const auto& [name, tensor] : tensors) {
    head.str(name).u32(tensor.shape.size());
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {  // innermost first
      head.u64(static_cast<std::uint64_t>(*size));
    }
    data.pad(kAlignment);
    head.u32(tensor.q8_0.empty() ? kTensorF32 : kTensorQ8).u64(data.bytes.size());
    if (tensor.q8_0.empty()) {
      for (const float value : tensor.data) data.put(value);
    } else {
      for (const std::byte byte : tensor.q8_0) data.put(byte);
    }
  }
  std::ofstream(path, std::ios::binary) << head.pad(kAlignment).bytes << data.pad(kAlignment).bytes;
}

std::filesystem::path GgufWriter::write_split(const std::filesystem::path& folder, const std::string& stem,
                                              std::uint32_t n_files) const {
  const auto path = [&](std::uint32_t number) {
    return folder / fmt::format("{}-{:05}-of-{:05}.gguf", stem, number + 1, n_files);
  };
  std::vector<GgufWriter> parts(n_files);
  parts.front().metadata = metadata;
  std::size_t at = 0;
  for (const auto& [name, tensor] : tensors) parts[at++ * n_files / tensors.size()].tensors[name] = tensor;
  for (std::uint32_t number = 0; number < n_files; ++number) {
    parts[number].metadata["split.no"] = number;
    parts[number].metadata["split.count"] = n_files;
    parts[number].metadata["split.tensors.count"] = static_cast<std::uint32_t>(tensors.size());
    parts[number].write(path(number));
  }
  return path(0);
}

GgufWriter tiny_gguf(std::uint64_t seed) {
  const ModelConfig config = tiny_config();
  const auto number = [](int value) { return static_cast<std::uint32_t>(value); };
  GgufWriter file;
  file.metadata = {{"general.architecture", std::string("llama")},
                   {"general.name", std::string("tiny")},
                   {"llama.block_count", number(config.n_layers)},
                   {"llama.attention.head_count", number(config.n_heads)},
                   {"llama.attention.head_count_kv", number(config.n_kv_heads)},
                   {"llama.attention.key_length", number(config.head_dim)},
                   {"llama.rope.dimension_count", number(config.head_dim)},
                   {"llama.embedding_length", number(config.hidden_size)},
                   {"llama.feed_forward_length", number(config.ffn_size)},
                   {"llama.context_length", number(config.max_positions)},
                   {"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
  add_tokenizer(file);
  std::mt19937_64 random(seed);
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::vector<float> data = drawn_weights(random, shape);
    file.tensors[name] = {std::move(shape), std::move(data), {}};
  };
  const std::int64_t hidden = config.hidden_size, ffn = config.ffn_size;
  const std::int64_t q = config.n_heads * config.head_dim, kv = config.n_kv_heads * config.head_dim;
  add("token_embd.weight", {config.vocab_size, hidden});
  add("output_norm.weight", {hidden});
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    add(prefix + "attn_norm.weight", {hidden});
    add(prefix + "attn_q.weight", {q, hidden});
    add(prefix + "attn_k.weight", {kv, hidden});
    add(prefix + "attn_v.weight", {kv, hidden});
    add(prefix + "attn_output.weight", {hidden, q});
    add(prefix + "ffn_norm.weight", {hidden});
    add(prefix + "ffn_gate.weight", {ffn, hidden});
    add(prefix + "ffn_up.weight", {ffn, hidden});
    add(prefix + "ffn_down.weight", {hidden, ffn});
  }
  return file;
}

}  // namespace tide::testing
