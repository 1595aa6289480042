// Models of the llama architecture from Hugging Face folders: what is read, and what is refused by name.

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>

#include "base/file.h"
#include "model/hf_config.h"
#include "model/model.h"
#include "model/weights.h"
#include "tests/support/checkpoint_checks.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_folder.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class LlamaHf : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(path_); }

  std::shared_ptr<const Model> load(WeightType type = WeightType::f32, int n_shards = 1) {
    folder_.write(path_, n_shards);
    return load_model(path_, type);
  }
  void expect_refused(const std::string& part) {
    expect_input_error([&] { load(); }, part);
    expect_input_error([&] { load(); }, path_.string());
  }

  HfFolder folder_ = tiny_hf();
  // Parameterised names hold a slash.
  fs::path path_ = fs::path(::testing::TempDir()) / fmt::format("tide_hf_{}", static_cast<const void*>(this));
};

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.bytes() == b.bytes() &&
         std::memcmp(a.values.const_data_ptr(), b.values.const_data_ptr(), a.values.nbytes()) == 0;
}

TEST_F(LlamaHf, HasTheConfigurationOfItsFile) {
  folder_.config["rope_parameters"]["rope_theta"] = 50000;
  const auto model = load();
  const ModelConfig& read = model->config();
  EXPECT_EQ(read.name, path_.filename().string());
  EXPECT_EQ(read.architecture, "llama");
  expect_tiny_sizes(read);
  EXPECT_EQ(read.rope_theta, 50000.0);
  EXPECT_EQ(read.rms_epsilon, 1e-5f);
  EXPECT_EQ(model->tokenizer().eos_id(), 299);
}

TEST_F(LlamaHf, HasTransformersDefaults) {
  folder_.config.erase("rope_parameters");
  folder_.config.erase("num_key_value_heads");
  folder_.config["head_dim"] = nullptr;
  folder_.config["num_attention_heads"] = 5;
  folder_.write(path_);
  const HfConfig read = read_hf_config(path_);
  EXPECT_EQ(read.model.rope_theta, 10000.0);
  EXPECT_EQ(read.model.n_kv_heads, 5);
  EXPECT_EQ(read.model.head_dim, 16);
  EXPECT_FALSE(read.tied);
}

TEST_F(LlamaHf, ReadsTheRotarySettingsOfEarlierFiles) {
  folder_.config.erase("rope_parameters");
  folder_.config["rope_theta"] = 500000.0;
  for (const json& scaling : {json(nullptr), json{{"type", "default"}}, json{{"rope_type", "default"}}}) {
    folder_.config["rope_scaling"] = scaling;
    folder_.write(path_);
    EXPECT_EQ(read_hf_config(path_).model.rope_theta, 500000.0);
  }
}

TEST_F(LlamaHf, DecodesLikeAnyModel) {
  Decoder decoder(load(), {.n_threads = 1});
  EXPECT_EQ(
      decode(decoder, decoder.prefill(random_ids(20, 1)), policy_of("tidal:budget=8,select=2"), 3).ids.size(),
      3u);
}

TEST_F(LlamaHf, KeepsTheOrderOfItsRows) {
  const auto model = load();
  std::vector<float> row(80);
  const auto expect_rows = [&](const char* name, const Matrix& matrix, int first) {
    const HfFolder::Tensor& from = folder_.tensors.at(name);
    for (std::int64_t i = 0; i < from.shape[0]; ++i) {
      matrix.load_row(first + i, row.data());
      ASSERT_TRUE(std::equal(row.begin(), row.end(), from.data.begin() + i * 80)) << name << " row " << i;
    }
  };
  const LayerWeights& layer = model->weights().layers[3];
  expect_rows("model.layers.3.self_attn.q_proj.weight", layer.qkv, 0);
  expect_rows("model.layers.3.self_attn.k_proj.weight", layer.qkv, 96);
  expect_rows("model.layers.3.self_attn.v_proj.weight", layer.qkv, 128);
  expect_rows("model.layers.3.mlp.gate_proj.weight", layer.gate_up, 0);
  expect_rows("model.layers.3.mlp.up_proj.weight", layer.gate_up, 112);
  expect_rows("lm_head.weight", model->weights().lm_head, 0);
}

TEST_F(LlamaHf, InShardsIsTheSameBitForBit) {
  for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
    const auto whole = load(type), sharded = load(type, 4);
    const Weights &a = whole->weights(), &b = sharded->weights();
    EXPECT_TRUE(same_bits(a.embedding, b.embedding));
    EXPECT_TRUE(same_bits(a.lm_head, b.lm_head));
    EXPECT_TRUE(a.final_norm.equal(b.final_norm));
    for (std::size_t layer = 0; layer < a.layers.size(); ++layer) {
      EXPECT_TRUE(a.layers[layer].attention_norm.equal(b.layers[layer].attention_norm));
      EXPECT_TRUE(a.layers[layer].ffn_norm.equal(b.layers[layer].ffn_norm));
      EXPECT_TRUE(same_bits(a.layers[layer].qkv, b.layers[layer].qkv));
      EXPECT_TRUE(same_bits(a.layers[layer].output, b.layers[layer].output));
      EXPECT_TRUE(same_bits(a.layers[layer].gate_up, b.layers[layer].gate_up));
      EXPECT_TRUE(same_bits(a.layers[layer].down, b.layers[layer].down));
    }
  }
}

TEST_F(LlamaHf, TiesTheHeadToTheEmbeddingWhenItsConfigurationSaysSo) {
  folder_.config["tie_word_embeddings"] = true;
  EXPECT_TRUE(load()->weights().lm_head.is_same(load()->weights().embedding) == false);  // two models
  const auto with_a_head = load();
  EXPECT_TRUE(with_a_head->weights().lm_head.is_same(with_a_head->weights().embedding));
  folder_.tensors.erase("lm_head.weight");
  const auto tied = load();
  EXPECT_TRUE(tied->weights().lm_head.is_same(tied->weights().embedding));
  folder_.config["tie_word_embeddings"] = false;
  expect_refused("no tensor lm_head.weight");
}

TEST_F(LlamaHf, HasADigestOfItsNamesAndContents) {
  const auto digest = [&] { return load()->sha256(); };
  const std::string first = digest();
  EXPECT_EQ(first, digest());
  std::string list;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    list += fmt::format("{}  {}\n", sha256_of_file(path_ / name), name);
  }
  EXPECT_EQ(first, sha256_of(list));
  folder_.config["max_position_embeddings"] = 511;
  EXPECT_NE(first, digest());
  folder_ = tiny_hf();
  EXPECT_NE(first, load(WeightType::f32, 2)->sha256());
  folder_.tensors["model.norm.weight"].data[0] += 1;
  EXPECT_NE(first, digest());
}

TEST_F(LlamaHf, IgnoresStoredRotaryFrequencies) {
  folder_.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{8}, std::vector<float>(8, 1.0f)};
  EXPECT_NO_THROW(load());
}

TEST_F(LlamaHf, WithAMissingTensorIsRefusedByItsName) {
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
                           "model.layers.4.self_attn.k_proj.weight", "model.layers.0.mlp.down_proj.weight"}) {
    folder_ = tiny_hf();
    folder_.tensors.erase(name);
    expect_refused(name);
  }
}

TEST_F(LlamaHf, WithATensorOfAnotherShapeIsRefusedByItsName) {
  folder_.tensors["model.layers.2.self_attn.v_proj.weight"] = {{16, 80}, std::vector<float>(16 * 80)};
  expect_refused("tensor model.layers.2.self_attn.v_proj.weight: shape [32, 80] expected, found [16, 80]");
}

TEST_F(LlamaHf, WithATensorThatNobodyAsksForIsRefusedByItsName) {
  folder_.tensors["model.layers.0.self_attn.q_proj.bias"] = {{96}, std::vector<float>(96)};
  expect_refused("model.layers.0.self_attn.q_proj.bias");
  folder_ = tiny_hf();
  folder_.tensors["scalar"] = {{}, {1.0f}};
  expect_refused("tensor scalar");
}

TEST_F(LlamaHf, WithoutAFileIsRefusedByItsName) {
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    folder_.write(path_);
    fs::remove(path_ / name);
    expect_input_error([&] { load_model(path_, WeightType::f32); }, name);
  }
}

TEST_F(LlamaHf, CutShortAnywhereIsRefused) {
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    folder_.write(path_);
    const auto size = fs::file_size(path_ / name);
    for (const std::uintmax_t cut : {std::uintmax_t{0}, std::uintmax_t{5}, size / 50, size / 2, size - 1}) {
      folder_.write(path_);
      fs::resize_file(path_ / name, cut);
      expect_input_error([&] { load_model(path_, WeightType::f32); }, (path_ / name).string());
    }
  }
}

TEST_F(LlamaHf, WithANumberThatIsNoneIsRefusedByItsField) {
  folder_.write(path_);
  for (const char* value : {"NaN", "Infinity", "1e999"}) {
    std::ofstream(path_ / "config.json") << R"({"model_type":"llama","rms_norm_eps":)" << value << "}";
    expect_input_error([&] { load_model(path_, WeightType::f32); }, "after the key 'rms_norm_eps'");
  }
}

struct Edit {
  const char* name;
  const char* key;
  json value;  ///< discarded: the key is taken out
  const char* message;
};

class LlamaHfRefuses : public LlamaHf, public ::testing::WithParamInterface<Edit> {};

TEST_P(LlamaHfRefuses, ByField) {
  if (GetParam().value.is_discarded()) {
    folder_.config.erase(GetParam().key);
  } else {
    folder_.config[GetParam().key] = GetParam().value;
  }
  expect_refused(GetParam().message);
}

const json kMissing = json(json::value_t::discarded);

INSTANTIATE_TEST_SUITE_P(
    Config, LlamaHfRefuses,
    ::testing::Values(
        Edit{"OtherModelType", "model_type", "mamba",
             "model_type is \"mamba\", expected 'llama', 'mistral', 'qwen2' or 'qwen3'"},
        Edit{"NoModelType", "model_type", kMissing, "model_type is missing"},
        Edit{"OtherArchitecture",
             "architectures",
             {"LlamaForSequenceClassification"},
             "expected [\"LlamaForCausalLM\"]"},
        Edit{"OtherActivation", "hidden_act", "gelu", "hidden_act is \"gelu\", expected 'silu'"},
        Edit{"AttentionBiasWithoutItsTensors", "attention_bias", true,
             "no tensor model.layers.0.self_attn.q_proj.bias"},
        Edit{"MlpBias", "mlp_bias", true, "mlp_bias is true, expected false"},
        Edit{"Quantised",
             "quantization_config",
             {{"bits", 4}},
             "quantization_config is {\"bits\":4}, expected none"},
        Edit{"RopeType",
             "rope_parameters",
             {{"rope_type", "longrope"}},
             "rope_parameters: rope_type is \"longrope\", expected 'default', 'linear', 'llama3' or 'yarn'"},
        Edit{"RopeScaling",
             "rope_scaling",
             {{"type", "dynamic"}, {"factor", 2}},
             "rope_scaling is {\"factor\":2,\"type\":\"dynamic\"}, expected nothing else"},
        Edit{"RopeThetaZero",
             "rope_parameters",
             {{"rope_theta", 0}},
             "rope_theta is 0, expected a number above 0"},
        Edit{"RopeThetaText", "rope_theta", "x", "rope_theta is \"x\", expected a number above 0"},
        Edit{"NoHiddenSize", "hidden_size", kMissing, "hidden_size is missing"},
        Edit{"ZeroHiddenSize", "hidden_size", 0, "hidden_size is 0, expected a whole number from 1 to 2^30"},
        Edit{"HugeHiddenSize", "hidden_size", 1 << 29, "model.embed_tokens.weight"},
        Edit{"NegativeLayers", "num_hidden_layers", -1, "num_hidden_layers is -1, expected"},
        Edit{"FractionalLayers", "num_hidden_layers", 5.0, "num_hidden_layers is 5.0, expected"},
        Edit{"HugeLayers", "num_hidden_layers", 1 << 16, "no tensor model.layers.5."},
        Edit{"LayersBeyondBounds", "num_hidden_layers", 1ll << 40,
             "num_hidden_layers is 1099511627776, expected"},
        Edit{"LayersBeyondAList", "num_hidden_layers", 1 << 30,
             "num_hidden_layers is 1073741824, expected at most 65536"},
        Edit{"NoHeads", "num_attention_heads", kMissing, "num_attention_heads is missing"},
        Edit{"KvHeadsThatDoNotDivide", "num_key_value_heads", 4,
             "num_key_value_heads is 4, expected a divisor of num_attention_heads 6"},
        Edit{"HiddenSizeThatHeadsDoNotDivide", "head_dim", nullptr, "hidden_size 80 / num_attention_heads 6"},
        Edit{"OddHeadDim", "head_dim", 15, "head_dim is 15, expected a multiple of 8"},
        Edit{"NoFfn", "intermediate_size", kMissing, "intermediate_size is missing"},
        Edit{"NoPositions", "max_position_embeddings", kMissing, "max_position_embeddings is missing"},
        Edit{"NoEpsilon", "rms_norm_eps", kMissing, "rms_norm_eps is missing"},
        Edit{"NegativeEpsilon", "rms_norm_eps", -1e-5, "rms_norm_eps is -1e-05, expected a number above 0"},
        Edit{"HugeVocabulary", "vocab_size", 1 << 30,
             "model.embed_tokens.weight: shape [1073741824, 80] expected"},
        Edit{"TiedByText", "tie_word_embeddings", "yes",
             "tie_word_embeddings is \"yes\", expected true or false"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tide::testing
