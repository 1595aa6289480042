#include "tests/support/hf_folder.h"

#include <fmt/format.h>

#include <fstream>
#include <random>

#include "tests/model/safetensors_builder.h"
#include "tests/support/checkpoint_checks.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void write_json(const fs::path& path, const json& value) { std::ofstream(path) << value.dump(2); }

void write_tensors(const fs::path& path, const std::map<std::string, HfFolder::Tensor>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::ofstream(path, std::ios::binary) << safetensors_bytes(header.dump(), data);
}

}  // namespace

void HfFolder::write(const fs::path& folder, int n_shards) const {
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_json(folder / "config.json", config);
  write_json(folder / "tokenizer.json", tokenizer);
  if (n_shards == 1) return write_tensors(folder / "model.safetensors", tensors);
  std::vector<std::map<std::string, Tensor>> shards(static_cast<std::size_t>(n_shards));
  json weight_map;
  std::size_t next = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t shard = next++ % shards.size();
    shards[shard][name] = tensor;
    weight_map[name] = fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, n_shards);
    write_tensors(folder / weight_map[name].get<std::string>(), shards[shard]);
  }
  write_json(folder / "model.safetensors.index.json",
             {{"metadata", json::object()}, {"weight_map", weight_map}});
}

json tokenizer_json(const TokenizerData& data) {
  json vocab, added = json::array();
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (data.is_special[id]) {
      added.push_back({{"id", id}, {"content", data.tokens[id]}, {"special", true}, {"normalized", false}});
    } else {
      vocab[data.tokens[id]] = id;
    }
  }
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"post_processor", nullptr},
          {"model", {{"type", "BPE"}, {"unk_token", nullptr}, {"vocab", vocab}, {"merges", data.merges}}}};
}

HfFolder tiny_hf(std::uint64_t seed) {
  const ModelConfig config = tiny_config();
  HfFolder folder;
  folder.config = {{"architectures", {"LlamaForCausalLM"}},
                   {"model_type", "llama"},
                   {"hidden_act", "silu"},
                   {"hidden_size", config.hidden_size},
                   {"intermediate_size", config.ffn_size},
                   {"num_hidden_layers", config.n_layers},
                   {"num_attention_heads", config.n_heads},
                   {"num_key_value_heads", config.n_kv_heads},
                   {"head_dim", config.head_dim},
                   {"max_position_embeddings", config.max_positions},
                   {"rms_norm_eps", 1e-5},
                   {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
                   {"vocab_size", config.vocab_size},
                   {"bos_token_id", 297},
                   {"eos_token_id", 299}};
  folder.tokenizer = tokenizer_json(tiny_tokenizer_data());
  std::mt19937_64 random(seed);
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::vector<float> data = drawn_weights(random, shape);
    folder.tensors[name] = {std::move(shape), std::move(data)};
  };
  const std::int64_t hidden = config.hidden_size, ffn = config.ffn_size;
  const std::int64_t q = config.n_heads * config.head_dim, kv = config.n_kv_heads * config.head_dim;
  add("model.embed_tokens.weight", {config.vocab_size, hidden});
  add("model.norm.weight", {hidden});
  add("lm_head.weight", {config.vocab_size, hidden});
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    add(prefix + "input_layernorm.weight", {hidden});
    add(prefix + "self_attn.q_proj.weight", {q, hidden});
    add(prefix + "self_attn.k_proj.weight", {kv, hidden});
    add(prefix + "self_attn.v_proj.weight", {kv, hidden});
    add(prefix + "self_attn.o_proj.weight", {hidden, q});
    add(prefix + "post_attention_layernorm.weight", {hidden});
    add(prefix + "mlp.gate_proj.weight", {ffn, hidden});
    add(prefix + "mlp.up_proj.weight", {ffn, hidden});
    add(prefix + "mlp.down_proj.weight", {hidden, ffn});
  }
  return folder;
}

}  // namespace tide::testing
