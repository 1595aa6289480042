#include "kernels/elementwise.h"

#include "kernels/attention.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class Elementwise : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(Elementwise);

constexpr std::int64_t kSizes[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 97, 576, 1000};

TEST_P(Elementwise, RmsNormMatchesTheReferenceAndMayWorkInPlace) {
  Random random;
  for (const std::int64_t n : kSizes) {
    const std::size_t size = static_cast<std::size_t>(3 * n);
    std::vector<float> x = random.normals(size, 5.0f), got(size), want(size);
    const std::vector<float> weight = random.normals(static_cast<std::size_t>(n));
    cpu::rms_norm({x.data(), weight.data(), got.data(), 3, n, 1e-5f});
    reference::rms_norm({x.data(), weight.data(), want.data(), 3, n, 1e-5f});
    expect_near(got, want, {0, 2e-6}, "n " + std::to_string(n));
    // A row alone, and in place: the same bits.
    std::vector<float> last(x.end() - n, x.end());
    cpu::rms_norm({last.data(), weight.data(), last.data(), 1, n, 1e-5f});
    expect_same_bits(last, {got.end() - n, got.end()}, "in place, n " + std::to_string(n));
  }
}

TEST_P(Elementwise, RmsNormOfTheZeroRowIsZero) {
  const std::vector<float> x(33, 0.0f), weight(33, 1.0f);
  std::vector<float> y(33, 1.0f);
  cpu::rms_norm({x.data(), weight.data(), y.data(), 1, 33, 1e-6f});
  for (const float v : y) EXPECT_EQ(v, 0.0f);
}

TEST_P(Elementwise, RopeMatchesTheReference) {
  Random random(1);
  for (const std::int32_t head_dim : {2, 8, 16, 64, 72, 80, 128}) {
    std::vector<float> got = random.normals(static_cast<std::size_t>(5 * head_dim)), want = got, cosine, sine;
    for (std::int32_t i = 0; i < head_dim / 2; ++i) {
      const float angle = random.normal(3.0f);
      cosine.push_back(std::cos(angle));
      sine.push_back(std::sin(angle));
    }
    cpu::rope({got.data(), cosine.data(), sine.data(), 5, head_dim});
    reference::rope({want.data(), cosine.data(), sine.data(), 5, head_dim});
    expect_near(got, want, tolerance(DType::f32), "head_dim " + std::to_string(head_dim));
  }
}

TEST_P(Elementwise, RopeByAQuarterTurnMovesTheFirstHalfIntoTheSecond) {
  std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<float> cosine(4, 0.0f), sine(4, 1.0f);
  cpu::rope({x.data(), cosine.data(), sine.data(), 1, 8});
  EXPECT_EQ(x, (std::vector<float>{-5, -6, -7, -8, 1, 2, 3, 4}));
}

TEST_P(Elementwise, SiluMulMatchesTheReferenceToTheEndsOfTheRange) {
  Random random(2);
  for (const std::int64_t n : kSizes) {
    std::vector<float> gate_up = random.normals(static_cast<std::size_t>(2 * 2 * n), 4.0f);
    gate_up[0] = n % 3 == 0 ? -200.0f : n % 3 == 1 ? 200.0f : -88.0f;
    std::vector<float> got(static_cast<std::size_t>(2 * n)), want(got.size());
    cpu::silu_mul({gate_up.data(), got.data(), 2, n});
    reference::silu_mul({gate_up.data(), want.data(), 2, n});
    expect_near(got, want, {1e-36, 2e-6}, "n " + std::to_string(n));
  }
}

/// attention_probs with log_sum_exp 0 is exp itself.
std::vector<float> exp_of(const std::vector<float>& x) {
  ThreadPool pool(1);
  std::vector<float> y(x.size());
  const float zero = 0;
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  const ProbRow row{x.data(), &zero, y.data(), 1, n, n};
  cpu::attention_probs({&row, 1}, pool);
  return y;
}

TEST_P(Elementwise, ExpIsWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (double v = -87.3; v < 88.7; v += 1.0 / 1024) x.push_back(static_cast<float>(v));
  const std::vector<float> y = exp_of(x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double want = std::exp(static_cast<double>(x[i]));
    const float rounded = static_cast<float>(want);
    const double ulp =
        static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity())) - rounded;
    worst = std::max(worst, std::fabs(y[i] - want) / ulp);
  }
  RecordProperty("worst_ulp", std::to_string(worst));
  EXPECT_LE(worst, 2.0);
}

TEST_P(Elementwise, ExpOfTheEndsOfTheRange) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> y = exp_of({-inf, -1000.0f, -88.0f, 0.0f, -0.0f, 89.0f, inf, std::nanf("")});
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 0.0f);
  EXPECT_EQ(y[2], 0.0f);
  EXPECT_EQ(y[3], 1.0f);
  EXPECT_EQ(y[4], 1.0f);
  EXPECT_EQ(y[5], inf);
  EXPECT_EQ(y[6], inf);
  EXPECT_TRUE(std::isnan(y[7]));
}

/// Bits of a 16-bit float, with every NaN counted as one.
std::uint16_t canonical(std::uint16_t bits, DType dtype) {
  const std::uint16_t exponent = dtype == DType::f16 ? 0x7c00 : 0x7f80;
  const bool nan =
      (bits & exponent) == exponent && (bits & static_cast<std::uint16_t>(~exponent) & 0x7fff) != 0;
  return nan ? static_cast<std::uint16_t>(exponent | 1) : bits;
}

TEST_P(Elementwise, EverySixteenBitValueConvertsExactly) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    std::vector<std::uint16_t> bits(65536 + 5);
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
    const std::int64_t n = static_cast<std::int64_t>(bits.size());
    std::vector<float> got(bits.size()), want(bits.size());
    cpu::convert({bits.data(), got.data(), n, dtype, DType::f32});
    reference::convert({bits.data(), want.data(), n, dtype, DType::f32});
    std::vector<std::uint16_t> back(bits.size());
    cpu::convert({want.data(), back.data(), n, DType::f32, dtype});
    for (std::size_t i = 0; i < bits.size(); ++i) {
      if (std::isnan(want[i])) {
        ASSERT_TRUE(std::isnan(got[i])) << name_of(dtype) << " " << i;
      } else {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(want[i]))
            << name_of(dtype) << " " << i;
      }
      ASSERT_EQ(canonical(back[i], dtype), canonical(bits[i], dtype)) << name_of(dtype) << " " << i;
    }
  }
}

TEST_P(Elementwise, ConversionRoundsToNearestEven) {
  Random random(3);
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x8000; high += 3) {
    // Just below, at, and above the middle between two neighbours, for both formats.
    for (const std::uint32_t low : {0x0fffu, 0x1000u, 0x1001u, 0x3000u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low | (random.bits() & 0x80000000u)));
    }
  }
  for (int i = 0; i < 100000; ++i) x.push_back(std::bit_cast<float>(random.bits()));
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  for (const DType dtype : {DType::f16, DType::bf16}) {
    std::vector<std::uint16_t> got(x.size()), want(x.size());
    cpu::convert({x.data(), got.data(), n, DType::f32, dtype});
    reference::convert({x.data(), want.data(), n, DType::f32, dtype});
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(canonical(got[i], dtype), canonical(want[i], dtype)) << name_of(dtype) << " of " << x[i];
    }
  }
}

TEST_P(Elementwise, ConversionsOfEveryPairMatchTheReference) {
  Random random(4);
  for (const DType from : kDTypes) {
    for (const DType to : kDTypes) {
      for (const std::int64_t n : kSizes) {
        const std::vector<std::uint8_t> x = stored(random.normals(static_cast<std::size_t>(n)), from);
        std::vector<std::uint8_t> got(static_cast<std::size_t>(n) * size_of(to)), want(got.size());
        cpu::convert({x.data(), got.data(), n, from, to});
        reference::convert({x.data(), want.data(), n, from, to});
        ASSERT_EQ(got, want) << name_of(from) << " to " << name_of(to) << ", n " << n;
      }
    }
  }
}

TEST_P(Elementwise, DequantisedWeightsMatchTheReference) {
  Random random(5);
  for (const DType dtype : kDTypes) {
    for (const std::int64_t blocks : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 97}) {
      std::vector<std::int8_t> weight(static_cast<std::size_t>(blocks * kQ8Block));
      for (std::int8_t& w : weight) w = static_cast<std::int8_t>(random.below(256) - 128);
      std::vector<std::uint16_t> scale;
      for (std::int64_t b = 0; b < blocks; ++b) scale.push_back(float_to_half(random.normal(0.01f)));
      std::vector<std::uint8_t> got(weight.size() * size_of(dtype)), want(got.size());
      const auto count = static_cast<std::int64_t>(weight.size());
      cpu::dequantise_q8({weight.data(), scale.data(), got.data(), count, dtype});
      reference::dequantise_q8({weight.data(), scale.data(), want.data(), count, dtype});
      ASSERT_EQ(got, want) << name_of(dtype) << ", " << blocks << " blocks";
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
