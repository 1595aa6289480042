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

class MatrixOf : public ::testing::TestWithParam<WeightType> {
 protected:
  MatrixOf() : weights_(drawn(kRows * kColumns, 1)) {
    WeightMemory memory(WeightMemory::bytes_at_most(kRows, kColumns));
    matrix_ = memory.matrix(GetParam(), kRows, kColumns);
    for (std::int64_t row = 0; row < kRows; ++row) {
      EXPECT_TRUE(matrix_.store_row(row, weights_.data() + row * kColumns));
    }
  }  // the matrix outlives the memory's owner

  /// Every weight as the matrix holds it.
  std::vector<float> held() const {
    std::vector<float> all(kRows * kColumns);
    for (std::int64_t row = 0; row < kRows; ++row) matrix_.load_row(row, all.data() + row * kColumns);
    return all;
  }

  std::vector<float> weights_;
  Matrix matrix_;
};

TEST_P(MatrixOf, HoldsItsWeightsRounded) {
  const std::vector<float> all = held();
  const float step = GetParam() == WeightType::f32 ? 0 : GetParam() == WeightType::bf16 ? 0.01f : 0.02f;
  EXPECT_THAT(all, Pointwise(FloatNear(step), weights_));
  EXPECT_EQ(all == weights_, GetParam() == WeightType::f32);
  EXPECT_EQ(matrix_.rows(), kRows);
  EXPECT_EQ(matrix_.columns(), kColumns);
}

TEST_P(MatrixOf, TakesTheBytesOfItsType) {
  const std::size_t count = kRows * kColumns;
  const std::size_t expected = GetParam() == WeightType::f32    ? count * 4
                               : GetParam() == WeightType::bf16 ? count * 2
                                                                : count / 32 * 34;
  EXPECT_EQ(matrix_.bytes(), expected);
}

TEST_P(MatrixOf, MultipliesByWhatItHolds) {
  constexpr std::int64_t kInputs = 3;
  const std::vector<float> x = drawn(kInputs * kColumns, 2), residual = drawn(kInputs * kRows, 3),
                           all = held();
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

TEST_P(MatrixOf, IsDenseInEitherType) {
  kernels::ThreadPool pool(2);
  const std::vector<float> all = held();
  const at::Tensor exact = dense(matrix_, kernels::DType::f32, pool);
  EXPECT_EQ(exact.size(0), kRows);
  EXPECT_EQ(exact.size(1), kColumns);
  EXPECT_EQ(std::vector<float>(exact.const_data_ptr<float>(), exact.const_data_ptr<float>() + exact.numel()),
            all);
  const at::Tensor rounded = dense(matrix_, kernels::DType::bf16, pool);
  const auto* bits = static_cast<const std::uint16_t*>(rounded.const_data_ptr());
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(bits[i], float_to_bfloat16(all[i])) << i;
  EXPECT_EQ(exact.is_same(matrix_.values), GetParam() == WeightType::f32);
  EXPECT_EQ(rounded.is_same(matrix_.values), GetParam() == WeightType::bf16);
}

constexpr const char* kTypeNames[] = {"fp32", "bf16", "q8_0"};
INSTANTIATE_TEST_SUITE_P(Types, MatrixOf,
                         ::testing::Values(WeightType::f32, WeightType::bf16, WeightType::q8_0),
                         [](const auto& test) { return kTypeNames[static_cast<int>(test.param)]; });

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
  WeightMemory memory(100);
  memory.matrix(WeightType::f32, 1, 10);
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
