// Models of the llama architecture from GGUF files: what is read, and what is refused by name.

#include "model/llama_gguf.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "base/float16.h"
#include "model/model.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;

class LlamaGguf : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }

  std::shared_ptr<const Model> load(DType dtype = DType::f32) {
    file_.write(path_);
    return load_model(path_, dtype);
  }
  void expect_refused(const std::string& part) {
    expect_input_error([&] { load(); }, part);
    expect_input_error([&] { load(); }, path_.string());
  }

  GgufWriter file_ = tiny_gguf();
  fs::path path_ = fs::path(::testing::TempDir()) /
                   (std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".gguf");
};

TEST_F(LlamaGguf, HasTheConfigurationOfItsMetadata) {
  file_.metadata["llama.rope.freq_base"] = 50000.0f;
  const auto model = load();
  const ModelConfig &read = model->config(), expected = tiny_config();
  EXPECT_EQ(read.name, "tiny");
  EXPECT_EQ(read.n_layers, expected.n_layers);
  EXPECT_EQ(read.n_heads, expected.n_heads);
  EXPECT_EQ(read.n_kv_heads, expected.n_kv_heads);
  EXPECT_EQ(read.head_dim, expected.head_dim);
  EXPECT_EQ(read.hidden_size, expected.hidden_size);
  EXPECT_EQ(read.ffn_size, expected.ffn_size);
  EXPECT_EQ(read.vocab_size, expected.vocab_size);
  EXPECT_EQ(read.max_positions, expected.max_positions);
  EXPECT_EQ(read.rope_theta, 50000.0);
  EXPECT_EQ(read.rms_epsilon, 1e-5f);
  EXPECT_EQ(model->sha256().size(), 64u);
}

TEST_F(LlamaGguf, DecodesLikeAnyModel) {
  Decoder decoder(load(), {.n_threads = 1});
  EXPECT_EQ(
      decode(decoder, decoder.prefill(random_ids(20, 1)), policy_of("tidal:budget=8,select=2"), 3).ids.size(),
      3u);
}

TEST_F(LlamaGguf, PutsTheHalvesOfARotaryPairBackInOrder) {
  const auto model = load();
  const ModelConfig config = tiny_config();
  const auto hidden = static_cast<std::size_t>(config.hidden_size);
  const float* qkv = model->weights().layers[3].qkv.const_data_ptr<float>();
  const auto expect_rows = [&](const char* name, int first_row, int n_heads, bool permuted) {
    const std::vector<float>& from = file_.tensors.at(name).data;
    for (int head = 0; head < n_heads; ++head) {
      for (int pair = 0; pair < config.head_dim / 2; ++pair) {
        for (int half = 0; half < 2; ++half) {
          const int in_file = head * config.head_dim + 2 * pair + half;
          const int to = permuted ? head * config.head_dim + half * config.head_dim / 2 + pair : in_file;
          ASSERT_EQ(qkv[static_cast<std::size_t>(first_row + to) * hidden + 5],
                    from[static_cast<std::size_t>(in_file) * hidden + 5])
              << name << " row " << in_file;
        }
      }
    }
  };
  expect_rows("blk.3.attn_q.weight", 0, 6, true);
  expect_rows("blk.3.attn_k.weight", 96, 2, true);
  expect_rows("blk.3.attn_v.weight", 128, 2, false);
}

TEST_F(LlamaGguf, RoundsToBf16) {
  const auto model = load(DType::bf16);
  const auto* rounded = static_cast<const std::uint16_t*>(model->weights().layers[0].down.const_data_ptr());
  const std::vector<float>& exact = file_.tensors.at("blk.0.ffn_down.weight").data;
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_EQ(rounded[i], float_to_bfloat16(exact[i]));
}

TEST_F(LlamaGguf, TiesTheHeadToTheEmbeddingOnlyWithoutOne) {
  const auto tied = load();
  EXPECT_TRUE(tied->weights().lm_head.is_same(tied->weights().embedding));
  file_.tensors["output.weight"] = file_.tensors.at("token_embd.weight");
  file_.tensors["output.weight"].data[7] = 42;
  const auto untied = load();
  EXPECT_EQ(untied->weights().lm_head.const_data_ptr<float>()[7], 42);
  EXPECT_NE(untied->weights().embedding.const_data_ptr<float>()[7], 42);
  EXPECT_EQ(untied->weights().bytes() - tied->weights().bytes(), tied->weights().embedding.nbytes());
}

TEST_F(LlamaGguf, WithAMissingTensorIsRefusedByItsName) {
  for (const char* name :
       {"token_embd.weight", "output_norm.weight", "blk.4.attn_k.weight", "blk.0.ffn_down.weight"}) {
    file_ = tiny_gguf();
    file_.tensors.erase(name);
    expect_refused(name);
  }
}

TEST_F(LlamaGguf, WithATensorOfAnotherShapeIsRefusedByItsName) {
  file_.tensors["blk.2.attn_v.weight"] = {{16, 80}, std::vector<float>(16 * 80)};
  expect_refused("blk.2.attn_v.weight");
}

TEST_F(LlamaGguf, OfAnotherArchitectureIsRefused) {
  file_.metadata["general.architecture"] = std::string("mamba");
  expect_refused("general.architecture is 'mamba', supported is 'llama'");
  file_.metadata["general.architecture"] = std::string("two\nlines");
  expect_refused("general.architecture");
}

TEST_F(LlamaGguf, WhoseSizesDoNotDivideIsRefused) {
  file_.metadata["llama.attention.head_count_kv"] = std::uint32_t{4};
  expect_refused("n_heads 6 is not a multiple of n_kv_heads 4");
}

TEST_F(LlamaGguf, WithForgedSizesIsRefusedBeforeAnythingIsAllocated) {
  for (const char* key : {"llama.embedding_length", "llama.feed_forward_length", "llama.attention.head_count",
                          "llama.attention.key_length", "llama.block_count"}) {
    for (const std::uint32_t value : {0u, 1u << 29, 0xFFFFFFFFu}) {
      file_ = tiny_gguf();
      file_.metadata.erase("llama.rope.dimension_count");
      if (std::string(key) == "llama.attention.head_count")
        file_.metadata.erase("llama.attention.head_count_kv");
      file_.metadata[key] = value;
      expect_input_error([&] { load(); }, path_.string());
    }
  }
}

TEST_F(LlamaGguf, WhoseArithmeticIsNotOursIsRefused) {
  file_.metadata["llama.rope.scaling.type"] = std::string("yarn");
  expect_refused("llama.rope.scaling.type is 'yarn'");
  file_ = tiny_gguf();
  file_.metadata["llama.rope.dimension_count"] = std::uint32_t{8};
  expect_refused("llama.rope.dimension_count is 8");
  file_ = tiny_gguf();
  file_.metadata["llama.expert_count"] = std::uint32_t{8};
  expect_refused("llama.expert_count is 8");
  file_ = tiny_gguf();
  file_.tensors["rope_freqs.weight"] = {{8}, std::vector<float>(8, 1.0f)};
  expect_refused("rope_freqs.weight");
  file_ = tiny_gguf();
  file_.tensors["blk.0.attn_q.bias"] = {{96}, std::vector<float>(96, 1.0f)};
  expect_refused("blk.0.attn_q.bias");
}

TEST_F(LlamaGguf, WithoutARequiredKeyIsRefusedByItsName) {
  for (const char* key : {"general.architecture", "llama.block_count", "llama.attention.head_count",
                          "llama.embedding_length", "llama.feed_forward_length", "llama.context_length",
                          "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.tokens"}) {
    file_ = tiny_gguf();
    file_.metadata.erase(key);
    expect_refused(key);
  }
}

TEST(LoadModel, RefusesWhatIsNoCheckpoint) {
  const fs::path folder = ::testing::TempDir();
  expect_input_error([&] { load_model(folder / "absent.gguf", DType::f32); }, "no such file");
  expect_input_error([&] { load_model(folder, DType::f32); }, "not a regular file");
  const fs::path foreign = folder / "foreign.gguf";
  std::ofstream(foreign) << "PK\3\4 something else";
  expect_input_error([&] { load_model(foreign, DType::f32); }, "byte 0: not a GGUF file");
  std::ofstream(foreign) << "";
  expect_input_error([&] { load_model(foreign, DType::f32); }, "not a GGUF file");
  fs::remove(foreign);
}

TEST_F(LlamaGguf, CutShortAnywhereIsRefused) {
  file_.write(path_);
  const auto size = fs::file_size(path_);
  for (const std::uintmax_t cut : {std::uintmax_t{5}, std::uintmax_t{100}, size / 50, size / 2, size - 1}) {
    file_.write(path_);
    fs::resize_file(path_, cut);
    expect_input_error([&] { load_model(path_, DType::f32); }, path_.string());
  }
}

}  // namespace
}  // namespace tide::testing
