// Weight matrices of every type: what goes in comes out, and products see the same weights.

#include "model/matrix.h"

#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "base/error.h"
#include "base/float16.h"
#include "model/weight_memory.h"
#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr std::int64_t kRows = 70, kColumns = 96;

std::vector<float> drawn(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

const std::vector<float>& weights() {
  static const std::vector<float> all = drawn(kRows * kColumns, 1);
  return all;
}

/// It outlives the memory's owner.
Matrix matrix_of(WeightType type) {
  WeightMemory memory(WeightMemory::bytes_at_most(kRows, kColumns));
  Matrix matrix = memory.matrix(type, kRows, kColumns);
  for (std::int64_t row = 0; row < kRows; ++row) {
    EXPECT_TRUE(matrix.store_row(row, weights().data() + row * kColumns));
  }
  return matrix;
}

/// Every weight as the matrix holds it.
std::vector<float> held(const Matrix& matrix) {
  std::vector<float> all(kRows * kColumns);
  for (std::int64_t row = 0; row < kRows; ++row) matrix.load_row(row, all.data() + row * kColumns);
  return all;
}

struct LaidOutAnew : ::testing::Test {
  kernels::ThreadPool pool_{2};
};

struct MatrixOf : ::testing::TestWithParam<WeightType> {
  Matrix matrix_ = matrix_of(GetParam());
};

TEST_P(MatrixOf, HoldsItsWeightsRounded) {
  const std::vector<float> all = held(matrix_);
  const float step = GetParam() == WeightType::f32 ? 0 : GetParam() == WeightType::bf16 ? 0.01f : 0.02f;
  EXPECT_THAT(all, Pointwise(FloatNear(step), weights()));
  EXPECT_EQ(all == weights(), GetParam() == WeightType::f32);
  EXPECT_EQ(matrix_.rows, kRows);
  EXPECT_EQ(matrix_.columns, kColumns);
}

TEST_P(MatrixOf, TakesTheBytesOfItsType) {
  const std::size_t panels = 5 * 16 * kColumns, count = kRows * kColumns;  // panels are whole
  const std::size_t expected = GetParam() == WeightType::f32    ? panels * 4
                               : GetParam() == WeightType::bf16 ? panels * 2
                                                                : count / 32 * 34;
  EXPECT_EQ(matrix_.bytes(), expected);
}

TEST_P(MatrixOf, MultipliesByWhatItHolds) {
  constexpr std::int64_t kInputs = 3;
  const std::vector<float> x = drawn(kInputs * kColumns, 2), residual = drawn(kInputs * kRows, 3),
                           all = held(matrix_);
  std::vector<float> expected;
  for (std::size_t r = 0; r < kInputs; ++r) {
    for (std::size_t n = 0; n < kRows; ++n) {
      double sum = residual[r * kRows + n];
      for (std::size_t i = 0; i < kColumns; ++i) {
        sum += static_cast<double>(x[r * kColumns + i]) * all[n * kColumns + i];
      }
      expected.push_back(static_cast<float>(sum));
    }
  }
  kernels::ThreadPool pool(2);
  std::vector<float> y(expected.size());
  multiply(matrix_, x.data(), kInputs, residual.data(), y.data(), pool);
  EXPECT_THAT(y, Pointwise(FloatNear(GetParam() == WeightType::q8_0 ? 2e-3f : 1e-5f), expected));
}

TEST_P(MatrixOf, IsMultipliedAlikeByOneThread) {
  if (GetParam() == WeightType::q8_0) return;  // by the pool only
  const std::vector<float> x = drawn(7 * kColumns, 2);
  kernels::ThreadPool pool(2);
  std::vector<float> pooled(7 * kRows), alone(7 * kRows);
  multiply(matrix_, x.data(), 7, nullptr, pooled.data(), pool);
  multiply(matrix_, x.data(), 7, nullptr, alone.data());
  EXPECT_EQ(pooled, alone);
}

constexpr const char* kTypeNames[] = {"fp32", "bf16", "q8_0"};
INSTANTIATE_TEST_SUITE_P(Types, MatrixOf,
                         ::testing::Values(WeightType::f32, WeightType::bf16, WeightType::q8_0),
                         [](const auto& test) { return kTypeNames[static_cast<int>(test.param)]; });

TEST_F(LaidOutAnew, InBf16RowByRow) {
  for (const WeightType type : {WeightType::bf16, WeightType::q8_0}) {
    const Matrix matrix = matrix_of(type);
    const at::Tensor rows = row_major_bf16(matrix, pool_);
    ASSERT_EQ(rows.sizes(), (std::vector<std::int64_t>{kRows, kColumns}));
    const auto* bits = static_cast<const std::uint16_t*>(rows.const_data_ptr());
    const std::vector<float> all = held(matrix);
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(bits[i], float_to_bfloat16(all[i])) << i;
  }
}

TEST_F(LaidOutAnew, DequantisedWithoutLoss) {
  const Matrix matrix = matrix_of(WeightType::q8_0);
  const Matrix exact = dequantised(matrix, pool_);
  EXPECT_EQ(exact.type, WeightType::f32);
  EXPECT_EQ(held(exact), held(matrix));
}

TEST(MatrixOfBlocks, KeepsThemBitForBit) {
  WeightMemory memory(std::size_t{1} << 12);
  Matrix matrix = memory.matrix(WeightType::q8_0, 2, 64);
  std::vector<std::byte> blocks;
  for (int byte = 0; byte < 2 * 34; ++byte) blocks.push_back(static_cast<std::byte>(byte * 37));
  matrix.store_q8_0_blocks(1, blocks.data());
  const auto* values = static_cast<const std::byte*>(matrix.values.const_data_ptr()) + 64;
  const auto* scales = static_cast<const std::byte*>(matrix.scales.const_data_ptr()) + 4;
  EXPECT_THAT(std::vector<std::byte>(values, values + 32),
              ElementsAreArray(blocks.begin() + 2, blocks.begin() + 34));
  EXPECT_THAT(std::vector<std::byte>(values + 32, values + 64),
              ElementsAreArray(blocks.begin() + 36, blocks.end()));
  EXPECT_THAT(std::vector<std::byte>(scales, scales + 4),
              ::testing::ElementsAre(blocks[0], blocks[1], blocks[34], blocks[35]));
}

TEST(WeightMemory, CutsAlignedMatricesOneBehindTheOther) {
  WeightMemory memory(std::size_t{1} << 20);
  const std::byte* end = nullptr;
  for (const std::int64_t columns : {1, 7, 33, 80}) {
    const Matrix matrix = memory.matrix(WeightType::bf16, 3, columns);
    const auto* begin = static_cast<const std::byte*>(matrix.values.const_data_ptr());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(begin) % 64, 0u);
    if (end != nullptr) {
      EXPECT_GE(begin, end);
      EXPECT_LT(begin, end + 64);
    }
    end = begin + matrix.bytes();
  }
}

TEST(WeightMemoryDeathTest, MoreThanItsCapacityAborts) {
  WeightMemory memory(1000);
  memory.matrix(WeightType::f32, 1, 10);  // a panel: 640
  EXPECT_DEATH(memory.matrix(WeightType::f32, 2, 10), "capacity");
}

TEST(WeightMemory, BeyondTheAddressSpaceIsRefused) {
  EXPECT_THROW(WeightMemory(std::size_t{1} << 60), WorkError);
}

TEST(WeightTypes, AreKnownByTheNamesThatUsersGive) {
  EXPECT_EQ(weight_type_of("fp32"), WeightType::f32);
  EXPECT_EQ(weight_type_of("bf16"), WeightType::bf16);
  EXPECT_EQ(weight_type_of("q8_0"), WeightType::q8_0);
  for (const char* name : {"", "f32", "q4_0", "Q8_0"}) {
    expect_input_error([&] { weight_type_of(name); }, "expected bf16, fp32 or q8_0");
  }
}

}  // namespace
}  // namespace tide::testing
