#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <thread>
#include <vector>

#include "base/float16.h"
#include "model/gguf.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

/// A tensor over bytes made by hand.
StoredTensor tensor_of(TensorType type, std::vector<std::int64_t> shape, const GgufBytes& data) {
  return {"w", type, std::move(shape), std::as_bytes(std::span(data.bytes))};
}

std::vector<float> rows(const StoredTensor& tensor, std::int64_t first, std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count * tensor.shape.back()));
  dequantise_rows(tensor, first, count, out.data());
  return out;
}

TEST(Dequantise, HalvesIncludeSubnormalsAndInfinity) {
  GgufBytes b;
  for (const std::uint16_t half : {0x3c00, 0xc000, 0x0001, 0x83ff, 0x7c00, 0xfc00, 0x8000, 0x7bff})
    b.put(half);
  const auto out = rows(tensor_of(TensorType::f16, {8}, b), 0, 1);
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(out, (std::vector<float>{1, -2, 0x1p-24f, -1023 * 0x1p-24f, infinity, -infinity, -0.0f, 65504}));
  EXPECT_TRUE(std::signbit(out[6]));
}

TEST(Dequantise, EveryHalfIsExact) {
  GgufBytes b;
  for (int half = 0; half < 65536; ++half) b.put(static_cast<std::uint16_t>(half));
  const auto out = rows(tensor_of(TensorType::f16, {65536}, b), 0, 1);
  for (int half = 0; half < 65536; ++half) {
    const float expected = half_to_float(static_cast<std::uint16_t>(half));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(out[half])) << half;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(out[half]), std::bit_cast<std::uint32_t>(expected)) << half;
    }
  }
}

TEST(Dequantise, Bfloat16IsTheUpperHalfOfAFloat) {
  GgufBytes b;
  b.put<std::uint16_t>(0x3f80).put<std::uint16_t>(0xc049).put<std::uint16_t>(0x0001);
  EXPECT_EQ(rows(tensor_of(TensorType::bf16, {3}, b), 0, 1),
            (std::vector<float>{1.0f, -3.140625f, 0x1p-133f}));
}

TEST(Dequantise, Q8MultipliesSignedBytes) {
  GgufBytes b;
  b.put(float_to_half(0.5f));
  for (int j = 0; j < 32; ++j) b.put(static_cast<std::int8_t>(j == 0 ? -128 : j == 31 ? 127 : j));
  const auto out = rows(tensor_of(TensorType::q8_0, {32}, b), 0, 1);
  EXPECT_EQ(out[0], -64.0f);
  EXPECT_EQ(out[7], 3.5f);
  EXPECT_EQ(out[31], 63.5f);
}

TEST(Dequantise, Q4HalvesOfAByteLieSixteenApart) {
  GgufBytes b;
  b.put(float_to_half(2.0f));
  for (int j = 0; j < 16; ++j) b.put(static_cast<std::uint8_t>((15 - j) << 4 | j));
  const auto out = rows(tensor_of(TensorType::q4_0, {32}, b), 0, 1);
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(out[j], 2.0f * static_cast<float>(j - 8)) << j;
    EXPECT_EQ(out[j + 16], 2.0f * static_cast<float>(7 - j)) << j;
  }
}

TEST(Dequantise, Q4WithMinimumAddsIt) {
  GgufBytes b;
  b.put(float_to_half(0.25f)).put(float_to_half(-1.0f));
  for (int j = 0; j < 16; ++j) b.put(static_cast<std::uint8_t>((15 - j) << 4 | j));
  const auto out = rows(tensor_of(TensorType::q4_1, {32}, b), 0, 1);
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(out[j], 0.25f * static_cast<float>(j) - 1.0f) << j;
    EXPECT_EQ(out[j + 16], 0.25f * static_cast<float>(15 - j) - 1.0f) << j;
  }
}

TEST(Dequantise, Q5TakesItsFifthBitsFromOneWord) {
  GgufBytes b, with_minimum;
  b.put(float_to_half(0.5f)).u32(0x40000001u);
  with_minimum.put(float_to_half(0.5f)).put(float_to_half(-3.0f)).u32(0x40000001u);
  for (int j = 0; j < 16; ++j) {
    b.put(static_cast<std::uint8_t>((15 - j) << 4 | j));
    with_minimum.put(static_cast<std::uint8_t>((15 - j) << 4 | j));
  }
  const auto out = rows(tensor_of(TensorType::q5_0, {32}, b), 0, 1);
  const auto moved = rows(tensor_of(TensorType::q5_1, {32}, with_minimum), 0, 1);
  for (int j = 0; j < 32; ++j) {
    const int low = j < 16 ? j : 31 - j, fifth = j == 0 || j == 30 ? 16 : 0;
    EXPECT_EQ(out[j], 0.5f * static_cast<float>(low + fifth - 16)) << j;
    EXPECT_EQ(moved[j], 0.5f * static_cast<float>(low + fifth) - 3.0f) << j;
  }
}

/// Scale g + 40 (of 6 bits) and minimum 20 - g of the groups g = 0 … 7, as Q4_K and Q5_K pack them.
void put_group_scales(GgufBytes& b) {
  const auto scale = [](int group) { return group + 40; };
  const auto minimum = [](int group) { return 20 - group; };
  for (int g = 0; g < 4; ++g) b.put(static_cast<std::uint8_t>(scale(g) | scale(g + 4) >> 4 << 6));
  for (int g = 0; g < 4; ++g) b.put(static_cast<std::uint8_t>(minimum(g) | minimum(g + 4) >> 4 << 6));
  for (int g = 4; g < 8; ++g) b.put(static_cast<std::uint8_t>((scale(g) & 15) | (minimum(g) & 15) << 4));
}

TEST(Dequantise, Q4KGroupsHaveScalesAndMinimaOfTheirOwn) {
  GgufBytes b;
  b.put(float_to_half(0.5f)).put(float_to_half(0.25f));
  put_group_scales(b);
  for (int i = 0; i < 128; ++i) b.put(static_cast<std::uint8_t>((i + 3) % 16 << 4 | i % 16));
  const auto out = rows(tensor_of(TensorType::q4_k, {256}, b), 0, 1);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 32, value = (i + group % 2 * 3) % 16;
    EXPECT_EQ(out[i],
              0.5f * static_cast<float>((group + 40) * value) - 0.25f * static_cast<float>(20 - group))
        << i;
  }
}

TEST(Dequantise, Q5KAddsABitToQ4K) {
  GgufBytes b;
  b.put(float_to_half(0.5f)).put(float_to_half(0.25f));
  put_group_scales(b);
  for (int j = 0; j < 32; ++j) b.put(static_cast<std::uint8_t>(j * 7));
  for (int i = 0; i < 128; ++i) b.put(static_cast<std::uint8_t>((i + 3) % 16 << 4 | i % 16));
  const auto out = rows(tensor_of(TensorType::q5_k, {256}, b), 0, 1);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 32, value = (i + group % 2 * 3) % 16 + 16 * ((i % 32 * 7) >> group & 1);
    EXPECT_EQ(out[i],
              0.5f * static_cast<float>((group + 40) * value) - 0.25f * static_cast<float>(20 - group))
        << i;
  }
}

TEST(Dequantise, Q6KScalesSixteenWeightsBySignedBytes) {
  GgufBytes b;
  for (int i = 0; i < 128; ++i) b.put(static_cast<std::uint8_t>((i + 5) % 16 << 4 | i % 16));
  for (int i = 0; i < 64; ++i) b.put(static_cast<std::uint8_t>(0b11100100));  // groups 0 to 3: 0, 1, 2, 3
  for (int s = 0; s < 16; ++s) b.put(static_cast<std::int8_t>(s == 15 ? -128 : s - 8));
  b.put(float_to_half(-0.5f));
  const auto out = rows(tensor_of(TensorType::q6_k, {256}, b), 0, 1);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 32 % 4, scale = i / 16 == 15 ? -128 : i / 16 - 8;
    const int value = (i + (group >= 2 ? 5 : 0)) % 16 + 16 * group - 32;
    EXPECT_EQ(out[i], -0.5f * static_cast<float>(scale * value)) << i;
  }
}

/// Rows of `n_blocks` Q4_1 blocks whose weights differ from row to row.
GgufBytes many_rows(int n_rows, int n_blocks) {
  GgufBytes b;
  for (int block = 0; block < n_rows * n_blocks; ++block) {
    b.put(float_to_half(0.5f)).put(float_to_half(static_cast<float>(block)));
    for (int j = 0; j < 16; ++j) b.put(static_cast<std::uint8_t>(block * 7 + j));
  }
  return b;
}

TEST(Dequantise, RangeOfRowsEqualsThoseRowsOfTheWhole) {
  const auto data = many_rows(5, 3);
  const auto tensor = tensor_of(TensorType::q4_1, {5, 96}, data);
  const auto whole = rows(tensor, 0, 5);
  const auto part = rows(tensor, 2, 2);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 2 * 96));
  EXPECT_EQ(whole[96], 3.0f + 0.5f * static_cast<float>((3 * 7) & 15));
}

TEST(Dequantise, ThreadsShareATensor) {
  const auto data = many_rows(64, 3);
  const auto tensor = tensor_of(TensorType::q4_1, {64, 96}, data);
  std::vector<float> out(64 * 96);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { dequantise_rows(tensor, 16 * t, 16, out.data() + 16 * t * 96); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(out, rows(tensor, 0, 64));
}

TEST(DequantiseDeathTest, RowsOutsideTheTensorAbort) {
  const auto data = many_rows(2, 1);
  const auto tensor = tensor_of(TensorType::q4_1, {2, 32}, data);
  std::vector<float> out(64);
  EXPECT_DEATH(dequantise_rows(tensor, 1, 2, out.data()), "first \\+ count");
}

}  // namespace
}  // namespace tide
