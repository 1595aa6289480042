// Models of the llama architecture from GGUF files: what is read, and what is refused by name.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/float16.h"
#include "model/gguf_config.h"
#include "model/model.h"
#include "model/weights.h"
#include "tests/support/checkpoint_checks.h"
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

  std::shared_ptr<const Model> load(WeightType type = WeightType::f32) {
    file_.write(path_);
    return load_model(path_, type);
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
  const ModelConfig& read = model->config();
  EXPECT_EQ(read.name, "tiny");
  expect_tiny_sizes(read);
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

/// [rows, columns] in fp32.
std::vector<float> rows_of(const Matrix& matrix) {
  std::vector<float> rows(static_cast<std::size_t>(matrix.rows * matrix.columns));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    matrix.load_row(row, rows.data() + row * matrix.columns);
  }
  return rows;
}

TEST_F(LlamaGguf, PutsTheHalvesOfARotaryPairBackInOrder) {
  const auto model = load();
  const ModelConfig config = tiny_config();
  const auto hidden = static_cast<std::size_t>(config.hidden_size);
  const std::vector<float> qkv = rows_of(model->weights().layers[3].qkv);
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
  const auto model = load(WeightType::bf16);
  const std::vector<float> rounded = rows_of(model->weights().layers[0].down);
  const std::vector<float>& exact = file_.tensors.at("blk.0.ffn_down.weight").data;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ASSERT_EQ(rounded[i], bfloat16_to_float(float_to_bfloat16(exact[i])));
  }
}

/// The tiny file's shape with rows of whole blocks: hidden 64, feed-forward 96.
GgufWriter tiny_gguf_of_blocks() {
  GgufWriter file = tiny_gguf();
  file.metadata["llama.embedding_length"] = std::uint32_t{64};
  file.metadata["llama.feed_forward_length"] = std::uint32_t{96};
  for (auto& [name, tensor] : file.tensors) {
    for (std::int64_t& size : tensor.shape) size = size == 80 ? 64 : size == 112 ? 96 : size;
    tensor.data.resize(static_cast<std::size_t>(
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>())));
  }
  return file;
}

TEST_F(LlamaGguf, RoundsToEightBitsAndKeepsTheOrderOfItsRows) {
  file_ = tiny_gguf_of_blocks();
  const auto exact = load(), rounded = load(WeightType::q8_0);
  EXPECT_EQ(rounded->weight_type(), WeightType::q8_0);
  std::vector<float> ours(64), theirs(64);
  for (std::int64_t row = 0; row < 160; ++row) {
    rounded->weights().layers[3].qkv.load_row(row, ours.data());
    exact->weights().layers[3].qkv.load_row(row, theirs.data());
    // Weights of deviation 0.1 come in steps of about 0.3 / 127.
    ASSERT_THAT(ours, ::testing::Pointwise(::testing::FloatNear(2e-3f), theirs)) << "row " << row;
  }
  EXPECT_EQ(rounded->weights().lm_head.values.data_ptr(), rounded->weights().embedding.values.data_ptr());
}

TEST_F(LlamaGguf, KeepsItsOwnBlocksInEightBits) {
  file_ = tiny_gguf_of_blocks();
  // No value of 127: to round these weights anew would give other values and another scale.
  std::vector<std::byte> blocks;
  for (int block = 0; block < 64 * 3; ++block) {
    blocks.push_back(std::byte{0});
    blocks.push_back(static_cast<std::byte>(0x20 + block % 8));
    for (int j = 0; j < 32; ++j) blocks.push_back(static_cast<std::byte>((block * 7 + j * 3) % 60 - 30));
  }
  file_.tensors["blk.0.ffn_down.weight"].q8_0 = blocks;
  const auto model = load(WeightType::q8_0);
  const Matrix& down = model->weights().layers[0].down;
  const auto* values = static_cast<const std::int8_t*>(down.values.const_data_ptr());
  const auto* scales = static_cast<const std::uint16_t*>(down.scales.const_data_ptr());
  for (std::size_t block = 0; block < 64 * 3; ++block) {
    ASSERT_EQ(scales[block], (0x20 + block % 8) << 8) << block;
    for (std::size_t j = 0; j < 32; ++j) {
      ASSERT_EQ(values[block * 32 + j], static_cast<int>((block * 7 + j * 3) % 60) - 30) << block;
    }
  }
}

TEST_F(LlamaGguf, WhoseRowsAreNotWholeBlocksIsRefusedInEightBits) {
  expect_input_error([&] { load(WeightType::q8_0); },
                     "rows of 80 weights; dtype q8_0 needs a multiple of 32");
  expect_input_error([&] { load(WeightType::q8_0); }, path_.string() + ": tensor token_embd.weight");
}

TEST_F(LlamaGguf, WithWeightsBeyondEightBitsIsRefusedByTheTensorsName) {
  file_ = tiny_gguf_of_blocks();
  file_.tensors["blk.2.attn_k.weight"].data[5 * 64 + 3] = 1e7f;
  expect_input_error([&] { load(WeightType::q8_0); },
                     "tensor blk.2.attn_k.weight, row 5: a weight is not finite");
  EXPECT_NO_THROW(load(WeightType::bf16));
}

TEST_F(LlamaGguf, TiesTheHeadToTheEmbeddingOnlyWithoutOne) {
  const auto tied = load();
  EXPECT_TRUE(tied->weights().lm_head.is_same(tied->weights().embedding));
  file_.tensors["output.weight"] = file_.tensors.at("token_embd.weight");
  file_.tensors["output.weight"].data[7] = 42;
  const auto untied = load();
  EXPECT_EQ(rows_of(untied->weights().lm_head)[7], 42);
  EXPECT_NE(rows_of(untied->weights().embedding)[7], 42);
  EXPECT_EQ(untied->weights().bytes() - tied->weights().bytes(), tied->weights().embedding.bytes());
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
  file_.tensors["blk.2.attn_v.weight"] = {{16, 80}, std::vector<float>(16 * 80), {}};
  expect_refused("blk.2.attn_v.weight");
}

TEST_F(LlamaGguf, OfAnotherArchitectureIsRefused) {
  file_.metadata["general.architecture"] = std::string("mamba");
  expect_refused("general.architecture is 'mamba', supported is 'llama', 'qwen2' or 'qwen3'");
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
  file_.metadata["llama.rope.scaling.type"] = std::string("longrope");
  expect_refused("llama.rope.scaling.type is 'longrope', supported is 'none', 'linear' or 'yarn'");
  file_ = tiny_gguf();
  file_.metadata["llama.rope.dimension_count"] = std::uint32_t{8};
  expect_refused("llama.rope.dimension_count is 8");
  file_ = tiny_gguf();
  file_.metadata["llama.expert_count"] = std::uint32_t{8};
  expect_refused("llama.expert_count is 8");
  file_ = tiny_gguf();
  file_.tensors["blk.0.ffn_up.bias"] = {{112}, std::vector<float>(112, 1.0f), {}};
  expect_refused("blk.0.ffn_up.bias has no place in the model's architecture");
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
  expect_input_error([&] { load_model(folder / "absent.gguf", WeightType::f32); }, "no such file");
  expect_input_error([&] { load_model(folder, WeightType::f32); }, "a folder without config.json");
  const fs::path foreign = folder / "foreign.gguf";
  std::ofstream(foreign) << "PK\3\4 something else";
  expect_input_error([&] { load_model(foreign, WeightType::f32); }, "byte 0: not a GGUF file");
  std::ofstream(foreign) << "";
  expect_input_error([&] { load_model(foreign, WeightType::f32); }, "not a GGUF file");
  fs::remove(foreign);
}

TEST_F(LlamaGguf, CutShortAnywhereIsRefused) {
  file_.write(path_);
  const auto size = fs::file_size(path_);
  for (const std::uintmax_t cut : {std::uintmax_t{5}, std::uintmax_t{100}, size / 50, size / 2, size - 1}) {
    file_.write(path_);
    fs::resize_file(path_, cut);
    expect_input_error([&] { load_model(path_, WeightType::f32); }, path_.string());
  }
}

}  // namespace
}  // namespace tide::testing
