// Every stored type of a GGUF file comes to every weight type.

#include "model/weight_loader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/float16.h"
#include "model/gguf.h"
#include "model/gguf_types.h"
#include "model/quantise.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

constexpr std::int64_t kRows = 5, kColumns = 512;

/// Blocks of random bytes whose scales and minima are small numbers.
std::string random_blocks(TensorType type) {
  const GgufLayout& layout = *gguf_layout(static_cast<std::uint32_t>(type));
  std::mt19937 random(static_cast<std::uint32_t>(type));
  GgufBytes data;
  for (std::int64_t block = 0; block < kRows * kColumns / layout.block_elements; ++block) {
    GgufBytes one;
    for (std::int64_t i = 0; i < layout.block_bytes; ++i) one.put(static_cast<std::uint8_t>(random()));
    const auto scale_at = type == TensorType::q6_k ? layout.block_bytes - 2 : 0;
    GgufBytes halves;
    halves.put(float_to_half(0.01f)).put(float_to_half(-0.02f));
    const std::size_t n_halves = type == TensorType::q4_1 || type == TensorType::q5_1 ||
                                         type == TensorType::q4_k || type == TensorType::q5_k
                                     ? 2
                                     : 1;
    one.bytes.replace(static_cast<std::size_t>(scale_at), 2 * n_halves, halves.bytes, 0, 2 * n_halves);
    data.raw(one.bytes);
  }
  return data.bytes;
}

/// A file of one matrix "w".
std::string file_of(TensorType type) {
  return GgufBytes()
      .header(1, 0)
      .tensor("w", {kColumns, kRows}, static_cast<std::uint32_t>(type), 0)
      .pad(32)
      .raw(random_blocks(type))
      .bytes;
}

/// What a row of fp32 weights becomes in a weight type.
std::vector<float> rounded(std::vector<float> row, WeightType type) {
  if (type == WeightType::bf16) {
    for (float& weight : row) weight = bfloat16_to_float(float_to_bfloat16(weight));
  }
  if (type == WeightType::q8_0) {
    std::vector<std::int8_t> values(kColumns);
    std::vector<std::uint16_t> scales(kColumns / 32);
    EXPECT_TRUE(quantise_q8_0(row.data(), kColumns, values.data(), scales.data()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = half_to_float(scales[i / 32]) * static_cast<float>(values[i]);
    }
  }
  return row;
}

struct LoaderOf : ::testing::TestWithParam<TensorType> {};

TEST_P(LoaderOf, BringsQuantisedWeightsToEveryWeightType) {
  const TemporaryFile file(file_of(GetParam()));
  const GgufFile gguf(file.path());
  std::vector<float> expected(kColumns), got(kColumns);
  for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::q8_0}) {
    WeightLoader loader(gguf, type);
    const Matrix matrix = loader.whole("w", kRows, kColumns);
    loader.run();
    for (std::int64_t row = 0; row < kRows; ++row) {
      dequantise_rows(gguf.tensors().at("w"), row, 1, expected.data());
      matrix.load_row(row, got.data());
      EXPECT_EQ(got, rounded(expected, type)) << static_cast<int>(type) << ", row " << row;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LoaderOf,
                         ::testing::Values(TensorType::q4_0, TensorType::q4_1, TensorType::q5_0,
                                           TensorType::q5_1, TensorType::q4_k, TensorType::q5_k,
                                           TensorType::q6_k),
                         [](const auto& type) {
                           return gguf_type_name(static_cast<std::uint32_t>(type.param));
                         });

}  // namespace
}  // namespace tide
