// The recorder's rounding to float16.

#include "record/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/float16.h"
#include "record/chunk_writer.h"

namespace tide::record {
namespace {

TEST(Half, RoundsEveryKindOfValueLikeTheScalarConversion) {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               65504.0f,
                               65519.9f,
                               65520.0f,
                               1e9f,
                               -1e9f,
                               5.9604645e-8f,
                               2.9802322e-8f,
                               2.98023259e-8f,
                               1e-12f,
                               0.1f,
                               1.0f + 0x1p-11f,
                               1.0f + 0x3p-11f,
                               std::numeric_limits<float>::infinity()};
  for (int i = 0; i < 4096; ++i)
    values.push_back(std::ldexp(1.0f + static_cast<float>(i) / 4096.0f, i % 40 - 25));
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9}, values.size()}) {
    std::vector<std::uint16_t> half(n + 1, 0xabcd);
    to_half(values.data(), static_cast<std::int64_t>(n), half.data());
    EXPECT_EQ(half[n], 0xabcd) << "wrote past the row";
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(half[i], float_to_half(values[i])) << values[i];
  }
}

TEST(Half, WidensEveryBitPattern) {
  std::vector<std::uint16_t> half(65536);
  for (std::size_t i = 0; i < half.size(); ++i) half[i] = static_cast<std::uint16_t>(i);
  std::vector<float> values(half.size());
  from_half(half.data(), std::ssize(half), values.data());
  for (std::size_t i = 0; i < half.size(); ++i) {
    const float expected = half_to_float(half[i]);
    ASSERT_TRUE(values[i] == expected || (std::isnan(values[i]) && std::isnan(expected))) << i;
  }
}

TEST(Chunk, ShuffleGathersBytePlanes) {
  const std::vector<std::uint8_t> data = {1, 2, 3, 4, 5, 6};
  std::vector<std::uint8_t> planes(6);
  shuffle_bytes(data.data(), 3, 2, planes.data());
  EXPECT_EQ(planes, (std::vector<std::uint8_t>{1, 3, 5, 2, 4, 6}));
}

}  // namespace
}  // namespace tide::record
