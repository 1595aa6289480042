#include "tests/support/gguf_writer.h"

#include <fmt/format.h>

#include <fstream>
#include <random>

#include "tests/support/tiny_model.h"

namespace tide::testing {

namespace {

constexpr std::uint64_t kAlignment = 32;

class Bytes {
 public:
  template <typename T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number<std::uint64_t>(value.size());
    text_ += value;
  }
  void align() { text_.resize((text_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0'); }
  std::string text_;
};

// Value kinds by their number in the file.
enum : std::uint32_t { kUint32 = 4, kInt32 = 5, kFloat32 = 6, kString = 8, kArray = 9 };

struct WriteValue {
  Bytes& to;
  void operator()(std::uint32_t value) const { to.number<std::uint32_t>(kUint32), to.number(value); }
  void operator()(float value) const { to.number<std::uint32_t>(kFloat32), to.number(value); }
  void operator()(const std::string& value) const { to.number<std::uint32_t>(kString), to.text(value); }
  void operator()(const std::vector<std::string>& values) const {
    head(kString, values.size());
    for (const std::string& value : values) to.text(value);
  }
  void operator()(const std::vector<std::int32_t>& values) const {
    head(kInt32, values.size());
    for (const std::int32_t value : values) to.number(value);
  }
  void head(std::uint32_t kind, std::uint64_t count) const {
    to.number<std::uint32_t>(kArray), to.number(kind), to.number(count);
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
  Bytes head, data;
  head.text_ = "GGUF";
  head.number<std::uint32_t>(3);
  head.number<std::uint64_t>(tensors.size());
  head.number<std::uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    head.text(key);
    std::visit(WriteValue{head}, value);
  }
  for (const auto& [name, tensor] : tensors) {
    head.text(name);
    head.number<std::uint32_t>(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {  // innermost first
      head.number<std::uint64_t>(static_cast<std::uint64_t>(*size));
    }
    head.number<std::uint32_t>(0);  // F32
    data.align();
    head.number<std::uint64_t>(data.text_.size());
    for (const float value : tensor.data) data.number(value);
  }
  data.align();
  head.align();
  std::ofstream(path, std::ios::binary) << head.text_ << data.text_;
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
  std::normal_distribution<float> normal(0, 0.1f);
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t size = 1;
    for (const std::int64_t n : shape) size *= n;
    std::vector<float> data(static_cast<std::size_t>(size));
    for (float& value : data) value = normal(random);
    file.tensors[name] = {std::move(shape), std::move(data)};
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
