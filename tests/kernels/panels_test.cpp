// Where the weights of a matrix stand in its panels.

#include "kernels/panels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace tide::kernels::test {
namespace {

constexpr std::uint16_t kUnwritten = 0xffff;

TEST(Panels, PairsOfBf16InputsStandSideBySideForSixteenOutputs) {
  const std::int64_t n_in = 5, count = 3, first = 4;
  std::vector<std::uint16_t> rows(count * n_in), panel(3 * 16 * 2, kUnwritten);
  std::iota(rows.begin(), rows.end(), std::uint16_t{1});
  ASSERT_EQ(panel_words(n_in, DType::bf16), 3);
  pack_rows({rows.data(), panel.data(), first, count, n_in, DType::bf16});
  for (std::int64_t o = 0; o < 16; ++o) {
    for (std::int64_t i = 0; i < 6; ++i) {
      const std::uint16_t at = panel[static_cast<std::size_t>((i / 2 * 16 + o) * 2 + i % 2)];
      if (o < first || o >= first + count) {
        EXPECT_EQ(at, kUnwritten) << o << " " << i;
      } else {
        EXPECT_EQ(at, i == 5 ? 0 : (o - first) * n_in + i + 1) << o << " " << i;
      }
    }
  }
}

TEST(Panels, Fp32InputsStandAlone) {
  const std::int64_t n_in = 3;
  std::vector<float> rows(16 * n_in), panel(rows.size());
  std::iota(rows.begin(), rows.end(), 0.0f);
  pack_rows({rows.data(), panel.data(), 0, 16, n_in, DType::f32});
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t o = 0; o < 16; ++o) EXPECT_EQ(panel[i * 16 + o], rows[o * 3 + i]);
  }
}

TEST(Panels, UnpackingGivesTheRowsBack) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t n_in : {1, 2, 7, 8, 33}) {
      const std::size_t bytes = static_cast<std::size_t>(16 * n_in) * size_of(dtype);
      std::vector<unsigned char> rows(bytes), back(bytes);
      for (std::size_t i = 0; i < bytes; ++i) rows[i] = static_cast<unsigned char>(i * 37 + 11);
      std::vector<unsigned char> panel(static_cast<std::size_t>(panels_bytes(n_in, 16, dtype)));
      pack_rows({rows.data(), panel.data(), 0, 16, n_in, dtype});
      unpack_rows({back.data(), panel.data(), 0, 16, n_in, dtype});
      EXPECT_EQ(rows, back) << n_in;
      std::vector<unsigned char> two(bytes / 8);
      unpack_rows({two.data(), panel.data(), 5, 2, n_in, dtype});
      EXPECT_EQ(std::memcmp(two.data(), rows.data() + 5 * bytes / 16, two.size()), 0) << n_in;
    }
  }
}

TEST(Panels, TakeWholePanels) {
  EXPECT_EQ(panels_bytes(576, 960, DType::bf16), 576 * 960 * 2);
  EXPECT_EQ(panels_bytes(576, 961, DType::bf16), 576 * 976 * 2);
  EXPECT_EQ(panels_bytes(5, 16, DType::bf16), 6 * 16 * 2);
  EXPECT_EQ(panels_bytes(5, 16, DType::f32), 5 * 16 * 4);
  EXPECT_EQ(panels_bytes(5, 0, DType::f32), 0);
}

}  // namespace
}  // namespace tide::kernels::test
