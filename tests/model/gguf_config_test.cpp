// Architectures and rotary settings of GGUF files: what is read, and what is refused by key.

#include "model/gguf_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "model/model.h"
#include "model/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class GgufConfig : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }

  /// The tiny file's keys under another architecture's name.
  void use(const std::string& architecture) {
    std::map<std::string, GgufWriter::Value> renamed;
    for (const auto& [key, value] : file_.metadata) {
      renamed[key.starts_with("llama.") ? architecture + key.substr(5) : key] = value;
    }
    renamed["general.architecture"] = architecture;
    file_.metadata = renamed;
  }
  /// A vector at every layer whose element i is `value` + i.
  void add_vectors(const std::string& name, std::int64_t size, float value) {
    std::vector<float> data(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = value + static_cast<float>(i);
    for (int layer = 0; layer < 5; ++layer)
      file_.tensors[fmt::format("blk.{}.{}", layer, name)] = {{size}, data, {}};
  }
  std::shared_ptr<const Model> load() {
    file_.write(path_);
    return load_model(path_, WeightType::f32);
  }
  const ModelConfig read() { return load()->config(); }
  void expect_refused(const std::string& part) {
    expect_input_error([&] { load(); }, part);
    expect_input_error([&] { load(); }, path_.string());
  }

  GgufWriter file_ = tiny_gguf();
  fs::path path_ =
      fs::path(::testing::TempDir()) / fmt::format("tide_gguf_{}.gguf", static_cast<const void*>(this));
};

std::vector<float> values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), tensor.const_data_ptr<float>() + tensor.numel()};
}

TEST_F(GgufConfig, OfQwen2HasBiasesAndRowsInOurOrder) {
  use("qwen2");
  add_vectors("attn_q.bias", 96, 0);
  add_vectors("attn_k.bias", 32, 200);
  add_vectors("attn_v.bias", 32, 300);
  const auto model = load();
  EXPECT_EQ(model->config().architecture, "qwen2");
  EXPECT_TRUE(model->config().qkv_bias);
  std::vector<float> expected;
  for (const auto& [first, count] : {std::pair{0, 96}, {200, 32}, {300, 32}}) {
    for (int i = 0; i < count; ++i) expected.push_back(static_cast<float>(first + i));
  }
  EXPECT_THAT(values(model->weights().layers[4].qkv_bias), ElementsAreArray(expected));
  std::vector<float> row(80);
  model->weights().layers[3].qkv.load_row(1, row.data());
  EXPECT_EQ(row[5], file_.tensors.at("blk.3.attn_q.weight").data[80 + 5]);
}

TEST_F(GgufConfig, OfLlamaWithBiasesPutsThemInOrderWithTheirRows) {
  add_vectors("attn_q.bias", 96, 0);
  add_vectors("attn_k.bias", 32, 200);
  add_vectors("attn_v.bias", 32, 300);
  add_vectors("attn_output.bias", 80, 400);
  const auto model = load();
  const std::vector<float> bias = values(model->weights().layers[0].qkv_bias);
  // Rows 2i and 2i + 1 of a head of 16 in the file are pair i: rows i and 8 + i.
  EXPECT_EQ(bias[1], 2);
  EXPECT_EQ(bias[8], 1);
  EXPECT_EQ(bias[16 + 9], 16 + 3);
  EXPECT_EQ(bias[96 + 8], 201);
  EXPECT_EQ(bias[128 + 1], 301);
  EXPECT_EQ(values(model->weights().layers[2].output_bias)[7], 407);
}

TEST_F(GgufConfig, OfQwen3HasNormsOfHeads) {
  use("qwen3");
  add_vectors("attn_q_norm.weight", 16, 1);
  add_vectors("attn_k_norm.weight", 16, 50);
  const auto model = load();
  EXPECT_TRUE(model->config().qk_norm);
  EXPECT_EQ(values(model->weights().layers[1].q_norm)[3], 4);
  EXPECT_EQ(values(model->weights().layers[1].k_norm)[3], 53);
  file_.tensors.erase("blk.2.attn_k_norm.weight");
  expect_refused("no tensor blk.2.attn_k_norm.weight");
}

TEST_F(GgufConfig, WithoutABiasThatItsArchitectureHasIsRefused) {
  use("qwen2");
  expect_refused("no tensor blk.0.attn_q.bias");
  use("llama");
  file_ = tiny_gguf();
  file_.tensors["blk.0.attn_q.bias"] = {{96}, std::vector<float>(96), {}};
  expect_refused("no tensor blk.0.attn_k.bias");
  file_ = tiny_gguf();
  file_.tensors["blk.1.attn_q.bias"] = {{96}, std::vector<float>(96), {}};
  expect_refused("tensor blk.1.attn_q.bias has no place in the model's architecture");
}

TEST_F(GgufConfig, HasRotaryDivisorsOfItsTensor) {
  std::vector<float> divisors = {1, 1, 1, 2, 4, 8, 8, 8};
  file_.tensors["rope_freqs.weight"] = {{8}, divisors, {}};
  EXPECT_THAT(read().rope_scaling.divisors, ElementsAreArray(divisors));
  file_.tensors["rope_freqs.weight"].data[3] = 0;
  expect_refused("tensor rope_freqs.weight holds 0, expected numbers above 0");
  file_.tensors["rope_freqs.weight"].data[3] = NAN;
  expect_refused("tensor rope_freqs.weight holds nan, expected numbers above 0");
  file_.tensors["rope_freqs.weight"] = {{16}, std::vector<float>(16, 1), {}};
  expect_refused("tensor rope_freqs.weight: shape [8] expected, found [16]");
}

TEST_F(GgufConfig, HasLinearScaling) {
  file_.metadata["llama.rope.scaling.type"] = std::string("linear");
  file_.metadata["llama.rope.scaling.factor"] = 4.0f;
  EXPECT_EQ(read().rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(read().rope_scaling.factor, 4);
  EXPECT_EQ(read().max_positions, 2048);
}

TEST_F(GgufConfig, HasYarnScaling) {
  file_.metadata["llama.rope.scaling.type"] = std::string("yarn");
  file_.metadata["llama.rope.scaling.factor"] = 4.0f;
  file_.metadata["llama.rope.scaling.original_context_length"] = 128u;
  const ModelConfig plain = read();
  EXPECT_EQ(plain.rope_scaling.kind, RopeScaling::Kind::yarn);
  EXPECT_EQ(plain.rope_scaling.original_positions, 128);
  EXPECT_DOUBLE_EQ(plain.rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(plain.max_positions, 512);
  file_.metadata["llama.rope.scaling.attn_factor"] = 0.5f;
  file_.metadata["llama.rope.scaling.yarn_beta_fast"] = 20.0f;
  EXPECT_DOUBLE_EQ(read().rope_scaling.attention_factor, 0.5 * (0.1 * std::log(4.0) + 1));
  EXPECT_EQ(read().rope_scaling.beta_fast, 20);
}

TEST_F(GgufConfig, HasAWindowAtEveryLayer) {
  file_.metadata["llama.attention.sliding_window"] = 64u;
  EXPECT_EQ(read().window.size(), 5u);
  EXPECT_THAT(read().window, Each(64));
}

struct Key {
  const char* name;
  const char* key;
  GgufWriter::Value value;
  const char* message;
};

class GgufKey : public GgufConfig, public ::testing::WithParamInterface<Key> {};

TEST_P(GgufKey, IsRefused) {
  file_.metadata["llama.rope.scaling.type"] = std::string("yarn");
  file_.metadata["llama.rope.scaling.factor"] = 4.0f;
  file_.metadata[GetParam().key] = GetParam().value;
  expect_refused(GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Values, GgufKey,
    ::testing::Values(
        Key{"ZeroFactor", "llama.rope.scaling.factor", 0.0f,
            "llama.rope.scaling.factor is 0, expected a number above 0"},
        Key{"NanFactor", "llama.rope.scaling.factor", NAN, "llama.rope.scaling.factor is nan, expected"},
        Key{"HugeFactor", "llama.rope.scaling.factor", 1e9f, "supported is one that leads to 2^30 positions"},
        Key{"NoOriginalContext", "llama.rope.scaling.original_context_length", 0u,
            "the rotary scaling's original context is 0, expected a positive number"},
        Key{"NegativeBeta", "llama.rope.scaling.yarn_beta_slow", -1.0f, "yarn_beta_slow is -1, expected"},
        Key{"ExtFactor", "llama.rope.scaling.yarn_ext_factor", 0.0f,
            "yarn_ext_factor is 0.000000, supported is 1"},
        Key{"LogMultiplier", "llama.rope.scaling.yarn_log_multiplier", 0.1f,
            "yarn_log_multiplier is there, supported is a model without it"},
        Key{"OtherType", "llama.rope.scaling.type", std::string("longrope"),
            "llama.rope.scaling.type is 'longrope', supported is 'none', 'linear' or 'yarn'"},
        Key{"OldLinear", "llama.rope.scale_linear", 2.0f, "llama.rope.scale_linear is there"},
        Key{"Theta", "llama.rope.freq_base", -1.0f, "rope_theta is -1, expected a positive number"},
        Key{"AttentionScale", "llama.attention.scale", 0.5f, "llama.attention.scale is there"},
        Key{"LogitScale", "llama.logit_scale", 2.0f, "llama.logit_scale is there"},
        Key{"WindowPattern", "llama.attention.sliding_window_pattern", 4u, "sliding_window_pattern is there"},
        Key{"HugeWindow", "llama.attention.sliding_window", 0xFFFFFFFFu,
            "sliding_window is 4294967295, expected"},
        Key{"ValueLength", "llama.attention.value_length", 8u,
            "llama.attention.value_length is 8, supported is head_dim 16"},
        Key{"OtherArchitecture", "general.architecture", std::string("gemma2"),
            "general.architecture is 'gemma2', supported is 'llama', 'qwen2' or 'qwen3'"}),
    [](const auto& test) { return test.param.name; });

TEST_F(GgufConfig, WithDivisorsBesideAScalingIsRefused) {
  file_.metadata["llama.rope.scaling.type"] = std::string("linear");
  file_.metadata["llama.rope.scaling.factor"] = 4.0f;
  file_.tensors["rope_freqs.weight"] = {{8}, std::vector<float>(8, 1), {}};
  expect_refused("tensor rope_freqs.weight stands beside llama.rope.scaling.type");
}

TEST_F(GgufConfig, WithWindowsAndForgedLayersIsRefusedBeforeTheyAreListed) {
  file_.metadata["llama.attention.sliding_window"] = 64u;
  file_.metadata["llama.block_count"] = 1u << 30;
  expect_refused("llama.block_count is 1073741824, supported is at most 65536");
}

}  // namespace
}  // namespace tide::testing
