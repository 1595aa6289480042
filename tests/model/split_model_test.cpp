// A model in several GGUF files is the model in one.

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "model/model.h"
#include "model/weights.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

namespace fs = std::filesystem;

void expect_same_bits(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.rows, b.rows);
  ASSERT_EQ(a.columns, b.columns);
  std::vector<float> row_a(static_cast<std::size_t>(a.columns)), row_b(row_a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    a.load_row(row, row_a.data());
    b.load_row(row, row_b.data());
    ASSERT_EQ(row_a, row_b) << row;
  }
}

struct SplitModel : ::testing::Test {
  SplitModel() {
    fs::create_directories(folder_);
    file_.write(folder_ / "whole.gguf");
    first_ = file_.write_split(folder_, "part", 3);
  }
  ~SplitModel() override { fs::remove_all(folder_); }

  GgufWriter file_ = tiny_gguf();
  fs::path folder_ = fs::path(::testing::TempDir()) / "tide_split_model", first_;
};

TEST_F(SplitModel, HoldsTheSameWeights) {
  for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
    const auto whole = load_model(folder_ / "whole.gguf", type), split = load_model(first_, type);
    expect_same_bits(split->weights().embedding, whole->weights().embedding);
    ASSERT_EQ(split->weights().layers.size(), whole->weights().layers.size());
    for (std::size_t layer = 0; layer < whole->weights().layers.size(); ++layer) {
      const LayerWeights &a = split->weights().layers[layer], &b = whole->weights().layers[layer];
      expect_same_bits(a.qkv, b.qkv);
      expect_same_bits(a.output, b.output);
      expect_same_bits(a.gate_up, b.gate_up);
      expect_same_bits(a.down, b.down);
      EXPECT_TRUE(a.attention_norm.equal(b.attention_norm));
      EXPECT_TRUE(a.ffn_norm.equal(b.ffn_norm));
    }
    EXPECT_TRUE(split->weights().final_norm.equal(whole->weights().final_norm));
    EXPECT_EQ(split->tokenizer().encode("the abacus"), whole->tokenizer().encode("the abacus"));
  }
}

TEST_F(SplitModel, IsKnownByTheDigestsOfAllItsFiles) {
  std::string lines;
  for (const char* name :
       {"part-00001-of-00003.gguf", "part-00002-of-00003.gguf", "part-00003-of-00003.gguf"}) {
    lines += sha256_of_file(folder_ / name) + "  " + name + "\n";
  }
  EXPECT_EQ(sha256_of_checkpoint(first_), sha256_of(lines));
  EXPECT_EQ(load_model(first_, WeightType::f32)->sha256(), sha256_of(lines));
  EXPECT_EQ(sha256_of_checkpoint(folder_ / "whole.gguf"), sha256_of_file(folder_ / "whole.gguf"));
}

}  // namespace
}  // namespace tide::testing
