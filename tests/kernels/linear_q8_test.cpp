#include "kernels/linear_q8.h"

#include <array>
#include <cmath>
#include <limits>

#include "base/float16.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class LinearQ8Kernel : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(LinearQ8Kernel);

/// What is left between the twins is fp32's sum over blocks; outputs are of order 1.
constexpr Tolerance kTolerance{4e-6, 4e-6};

/// One problem's arrays. Weights use all of int8; scales differ from block to block.
struct Problem {
  Problem(Random& random, std::int64_t n_rows, std::int64_t n_in, std::int64_t n_out)
      : x(random.normals(static_cast<std::size_t>(n_rows * n_in))),
        weight(static_cast<std::size_t>(n_out * n_in)),
        scale(weight.size() / kQ8Block),
        bias(random.normals(static_cast<std::size_t>(n_out))),
        residual(random.normals(static_cast<std::size_t>(n_rows * n_out))),
        args{x.data(), weight.data(), scale.data(), bias.data(), residual.data(),
             nullptr,  n_rows,        n_in,         n_out} {
    for (std::int8_t& w : weight) w = static_cast<std::int8_t>(random.below(256) - 128);
    const double unit = 1.0 / (74.0 * std::sqrt(static_cast<double>(n_in)));
    for (std::uint16_t& s : scale) {
      s = float_to_half(static_cast<float>(unit * static_cast<double>(1 + random.below(16)) / 8));
    }
  }

  std::vector<float> x;
  std::vector<std::int8_t> weight;
  std::vector<std::uint16_t> scale;
  std::vector<float> bias, residual;
  LinearQ8 args;
};

using Product = void (*)(const LinearQ8&, ThreadPool&);

std::vector<float> run(const LinearQ8& problem, ThreadPool& pool, Product product = cpu::linear_q8) {
  std::vector<float> y(static_cast<std::size_t>(problem.n_rows * problem.n_out), -1.0f);
  LinearQ8 args = problem;
  args.y = y.data();
  product(args, pool);
  return y;
}

std::vector<float> expected(const LinearQ8& problem, ThreadPool& pool) {
  return run(problem, pool, reference::linear_q8);
}

TEST_P(LinearQ8Kernel, MatchesTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(2);
  Random random;
  for (const std::int64_t blocks : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 33, 48}) {
    for (const std::int64_t n_out : {1, 3, 4, 5, 7, 8, 9, 97}) {
      for (const std::int64_t n_rows : {1, 2, 3, 4, 5, 9}) {
        const Problem p(random, n_rows, blocks * kQ8Block, n_out);
        expect_near(run(p.args, pool), expected(p.args, pool), kTolerance,
                    "rows " + std::to_string(n_rows) + " blocks " + std::to_string(blocks) + " out " +
                        std::to_string(n_out));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearQ8Kernel, TakesSixtyFourRows) {
  ThreadPool pool(2);
  Random random(1);
  const Problem p(random, 64, 576, 61);
  expect_near(run(p.args, pool), expected(p.args, pool), kTolerance, "64 rows");
}

/// Each block of x may be off by m / 65534 an element, so a product by that times the weights' magnitudes.
TEST_P(LinearQ8Kernel, IsOffTheExactProductByTheRoundingToSixteenBitsAtMost) {
  ThreadPool pool(2);
  Random random(2);
  Problem p(random, 3, 576, 50);
  // Blocks of very different size must not cost each other their precision.
  for (std::size_t i = 0; i < p.x.size(); ++i) p.x[i] *= std::pow(10.0f, static_cast<float>(i / 32 % 7) - 3);
  p.args.bias = p.args.residual = nullptr;
  const std::vector<float> y = run(p.args, pool);
  for (std::int64_t r = 0; r < p.args.n_rows; ++r) {
    for (std::int64_t n = 0; n < p.args.n_out; ++n) {
      double exact = 0, allowed = 0;
      for (std::int64_t b = 0; b < p.args.n_in / kQ8Block; ++b) {
        const float* x = p.x.data() + r * p.args.n_in + b * kQ8Block;
        const std::int8_t* w = p.weight.data() + n * p.args.n_in + b * kQ8Block;
        const double scale = half_to_float(p.scale[static_cast<std::size_t>(n * p.args.n_in / kQ8Block + b)]);
        double largest = 0, sum = 0, magnitude = 0;
        for (std::int64_t i = 0; i < kQ8Block; ++i) {
          largest = std::max(largest, std::fabs(static_cast<double>(x[i])));
          sum += static_cast<double>(x[i]) * w[i];
          magnitude += std::abs(static_cast<double>(w[i]));
        }
        exact += scale * sum;
        allowed += scale * (largest / 65534 * magnitude + 1e-6 * std::fabs(sum));
      }
      const auto at = static_cast<std::size_t>(r * p.args.n_out + n);
      ASSERT_NEAR(y[at], exact, allowed * 1.001) << "row " << r << " output " << n;
    }
  }
}

TEST_P(LinearQ8Kernel, LargestValuesDoNotOverflow) {
  ThreadPool pool(1);
  Random random(3);
  for (const float x : {1.0f, -1.0f, 3e38f}) {
    for (const int w : {-128, 127}) {
      Problem p(random, 2, 96, 5);
      std::fill(p.x.begin(), p.x.end(), x);
      std::fill(p.weight.begin(), p.weight.end(), static_cast<std::int8_t>(w));
      std::fill(p.scale.begin(), p.scale.end(), float_to_half(0x1p-13f));
      p.args.bias = p.args.residual = nullptr;
      const auto want = static_cast<float>(96.0 * w * x * 0x1p-13);
      expect_near(run(p.args, pool), std::vector<float>(10, want), {0, 2e-6}, std::to_string(w));
    }
  }
}

TEST_P(LinearQ8Kernel, ARowOfOneWeightPicksThatInput) {
  ThreadPool pool(2);
  Random random(4);
  Problem p(random, 1, 96, 11);
  // A block whose largest value is 32767 is exact.
  for (std::size_t i = 0; i < p.x.size(); ++i) p.x[i] = i % 32 == 30 ? 32767.0f : static_cast<float>(i);
  std::fill(p.weight.begin(), p.weight.end(), std::int8_t{0});
  std::fill(p.scale.begin(), p.scale.end(), float_to_half(0.5f));
  for (std::int64_t n = 0; n < 11; ++n) p.weight[static_cast<std::size_t>(n * 96 + 9 * n)] = 2;
  p.args.bias = p.args.residual = nullptr;
  const std::vector<float> y = run(p.args, pool);
  for (std::size_t n = 0; n < 11; ++n) EXPECT_EQ(y[n], static_cast<float>(9 * n)) << n;
}

TEST_P(LinearQ8Kernel, BlocksOfZerosAndOfNextToNothingCountAsZeros) {
  ThreadPool pool(1);
  Random random(5);
  Problem p(random, 1, 96, 9);
  for (std::size_t i = 32; i < 96; ++i) p.x[i] = i < 64 ? 0.0f : 0x1p-111f;
  const std::vector<float> y = run(p.args, pool);
  expect_near(y, expected(p.args, pool), kTolerance, "zeros");
  LinearQ8 first = p.args;
  first.n_in = 32;
  std::vector<std::int8_t> weight;
  std::vector<std::uint16_t> scale;
  for (std::size_t n = 0; n < 9; ++n) {
    weight.insert(weight.end(), p.weight.begin() + static_cast<std::ptrdiff_t>(n * 96),
                  p.weight.begin() + static_cast<std::ptrdiff_t>(n * 96 + 32));
    scale.push_back(p.scale[3 * n]);
  }
  first.weight = weight.data();
  first.scale = scale.data();
  expect_same_bits(run(first, pool), y, "the block that is there");
}

TEST_P(LinearQ8Kernel, WhatIsNotFiniteMakesItsRowNaN) {
  ThreadPool pool(1);
  Random random(6);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    Problem p(random, 3, 64, 9);
    const std::vector<float> sound = run(p.args, pool);
    p.x[64 + 40] = bad;
    const std::vector<float> y = run(p.args, pool);
    for (std::size_t n = 0; n < 9; ++n) {
      EXPECT_TRUE(std::isnan(y[9 + n])) << bad;
      EXPECT_EQ(y[n], sound[n]);
      EXPECT_EQ(y[18 + n], sound[18 + n]);
    }
  }
}

TEST_P(LinearQ8Kernel, BiasAndResidualAreOptionalAndResidualMayBeTheOutput) {
  ThreadPool pool(1);
  Random random(7);
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true}) {
      Problem p(random, 3, 96, 21);
      if (!bias) p.args.bias = nullptr;
      if (!residual) p.args.residual = nullptr;
      expect_near(run(p.args, pool), expected(p.args, pool), kTolerance, "optional parts");
    }
  }
  Problem p(random, 5, 96, 21);
  const std::vector<float> want = run(p.args, pool);
  p.args.y = p.residual.data();
  cpu::linear_q8(p.args, pool);
  expect_same_bits(p.residual, want, "in place");
}

TEST_P(LinearQ8Kernel, ARowKeepsItsBitsWhateverStandsBesideIt) {
  ThreadPool pool(2);
  Random random(8);
  const std::int64_t n_in = 352, n_out = 47;
  const Problem p(random, 13, n_in, n_out);
  for (std::int64_t n_rows = 1; n_rows <= 13; ++n_rows) {
    LinearQ8 several = p.args;
    several.n_rows = n_rows;
    const std::vector<float> together = run(several, pool);
    for (std::int64_t r = 0; r < n_rows; ++r) {
      LinearQ8 alone = p.args;
      alone.n_rows = 1;
      alone.x += r * n_in;
      alone.residual += r * n_out;
      expect_same_bits({together.begin() + r * n_out, together.begin() + (r + 1) * n_out}, run(alone, pool),
                       "row " + std::to_string(r) + " of " + std::to_string(n_rows));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(LinearQ8Kernel, BitsDoNotDependOnTheThreadCount) {
  Random random(9);
  for (const std::int64_t n_rows : {1, 6}) {
    const Problem p(random, n_rows, 576, 1537);
    ThreadPool one(1);
    const std::vector<float> want = run(p.args, one);
    for (const int threads : {2, 3, 5}) {
      ThreadPool pool(threads);
      expect_same_bits(run(p.args, pool), want, std::to_string(threads) + " threads");
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
