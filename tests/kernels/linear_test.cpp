#include "kernels/linear.h"

#include <algorithm>

#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class LinearKernel : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(LinearKernel);

constexpr DType kWeightTypes[] = {DType::f32, DType::bf16};

/// A weight matrix [n_out, n_in] in panels, its values rounded to `dtype`.
std::vector<std::uint8_t> in_panels(const std::vector<float>& weight, std::int64_t n_in, std::int64_t n_out,
                                    DType dtype) {
  std::vector<std::uint8_t> rows = stored(weight, dtype);
  std::vector<std::uint8_t> panels(static_cast<std::size_t>(panels_bytes(n_in, n_out, dtype)));
  for (std::int64_t o = 0; o < n_out; o += kPanelOuts) {
    pack_rows({rows.data() + o * n_in * static_cast<std::int64_t>(size_of(dtype)),
               panels.data() + panels_bytes(n_in, o, dtype), 0, std::min(kPanelOuts, n_out - o), n_in,
               dtype});
  }
  return panels;
}

/// fp32 sums, one product behind the other: the error grows with the square root of their number.
Tolerance tolerance_of(std::int64_t n_in) {
  const double t = 2e-6 + 1.5e-7 * std::sqrt(static_cast<double>(n_in));
  return {t, t};
}

/// One problem's arrays; outputs are of order 1.
struct Problem {
  Problem(Random& random, DType dtype, std::int64_t n_rows, std::int64_t n_in, std::int64_t n_out)
      : x(random.normals(static_cast<std::size_t>(n_rows * n_in))),
        weight(in_panels(random.normals(static_cast<std::size_t>(n_in * n_out),
                                        1.0f / std::sqrt(static_cast<float>(n_in))),
                         n_in, n_out, dtype)),
        bias(random.normals(static_cast<std::size_t>(n_out))),
        residual(random.normals(static_cast<std::size_t>(n_rows * n_out))),
        y(static_cast<std::size_t>(n_rows * n_out)),
        args{x.data(), weight.data(), bias.data(), residual.data(), y.data(), n_rows, n_in, n_out, dtype} {}

  std::vector<float> x;
  std::vector<std::uint8_t> weight;
  std::vector<float> bias, residual, y;
  Linear args;
};

std::vector<float> run(const Linear& problem, ThreadPool& pool) {
  std::vector<float> y(static_cast<std::size_t>(problem.n_rows * problem.n_out), -1.0f);
  Linear args = problem;
  args.y = y.data();
  cpu::linear(args, pool);
  return y;
}

std::vector<float> expected(const Linear& problem) {
  std::vector<float> y(static_cast<std::size_t>(problem.n_rows * problem.n_out));
  Linear args = problem;
  args.y = y.data();
  reference::linear(args);
  return y;
}

TEST_P(LinearKernel, MatchesTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(2);
  Random random;
  for (const DType dtype : kWeightTypes) {
    for (const std::int64_t n_in : {1, 7, 8, 15, 16, 17, 31, 32, 33, 97, 576, 1000}) {
      for (const std::int64_t n_out : {1, 3, 15, 16, 17, 33, 97}) {
        for (const std::int64_t n_rows : {1, 2, 3, 4, 5, 6, 9}) {
          const Problem p(random, dtype, n_rows, n_in, n_out);
          expect_near(run(p.args, pool), expected(p.args), tolerance_of(n_in),
                      std::string(name_of(dtype)) + " rows " + std::to_string(n_rows) + " in " +
                          std::to_string(n_in) + " out " + std::to_string(n_out));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(LinearKernel, BiasAndResidualAreOptionalAndResidualMayBeTheOutput) {
  ThreadPool pool(1);
  Random random(1);
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true}) {
      Problem p(random, DType::bf16, 3, 97, 21);
      if (!bias) p.args.bias = nullptr;
      if (!residual) p.args.residual = nullptr;
      expect_near(run(p.args, pool), expected(p.args), tolerance_of(97), "optional parts");
    }
  }
  Problem p(random, DType::bf16, 5, 97, 21);
  const std::vector<float> want = run(p.args, pool);
  p.args.y = p.residual.data();
  cpu::linear(p.args, pool);
  expect_same_bits(p.residual, want, "in place");
}

TEST_P(LinearKernel, ARowKeepsItsBitsWhateverStandsBesideIt) {
  ThreadPool pool(2);
  Random random(2);
  for (const DType dtype : kWeightTypes) {
    const std::int64_t n_in = 333, n_out = 45;
    const Problem p(random, dtype, 13, n_in, n_out);
    for (std::int64_t n_rows = 1; n_rows <= 13; ++n_rows) {
      Linear several = p.args;
      several.n_rows = n_rows;
      const std::vector<float> together = run(several, pool);
      for (std::int64_t r = 0; r < n_rows; ++r) {
        Linear alone = p.args;
        alone.n_rows = 1;
        alone.x += r * n_in;
        alone.residual += r * n_out;
        expect_same_bits(
            {together.begin() + r * n_out, together.begin() + (r + 1) * n_out}, run(alone, pool),
            std::string(name_of(dtype)) + " row " + std::to_string(r) + " of " + std::to_string(n_rows));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearKernel, BitsDoNotDependOnTheThreadCount) {
  Random random(3);
  for (const std::int64_t n_rows : {1, 6}) {
    const Problem p(random, DType::bf16, n_rows, 576, 1537);
    ThreadPool one(1);
    const std::vector<float> want = run(p.args, one);
    for (const int threads : {2, 3, 5}) {
      ThreadPool pool(threads);
      expect_same_bits(run(p.args, pool), want, std::to_string(threads) + " threads");
    }
  }
}

TEST_P(LinearKernel, OnOneThreadTheBitsAreThoseOfThePool) {
  ThreadPool pool(2);
  Random random(4);
  const Problem p(random, DType::bf16, 23, 333, 45);
  cpu::linear(p.args);
  expect_same_bits(p.y, run(p.args, pool), "on the calling thread");
}

TEST_P(LinearKernel, ARowOfOneWeightPicksThatInput) {
  ThreadPool pool(2);
  const std::int64_t n_in = 97, n_out = 11;
  std::vector<float> weight(static_cast<std::size_t>(n_in * n_out), 0.0f), x(static_cast<std::size_t>(n_in));
  for (std::int64_t i = 0; i < n_in; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(i);
  // Output n reads input 9 n: y = 0, 9, 18, ...
  for (std::int64_t n = 0; n < n_out; ++n) weight[static_cast<std::size_t>(n * n_in + 9 * n)] = 1.0f;
  for (const DType dtype : kWeightTypes) {
    const std::vector<std::uint8_t> w = in_panels(weight, n_in, n_out, dtype);
    std::vector<float> y(static_cast<std::size_t>(n_out));
    cpu::linear({x.data(), w.data(), nullptr, nullptr, y.data(), 1, n_in, n_out, dtype}, pool);
    for (std::int64_t n = 0; n < n_out; ++n)
      EXPECT_EQ(y[static_cast<std::size_t>(n)], static_cast<float>(9 * n));
  }
}

TEST_P(LinearKernel, NoOutputsAndNoRowsAreNothingToDo) {
  ThreadPool pool(2);
  float x = 1, y = 7;
  const float w = 2;
  cpu::linear({&x, &w, nullptr, nullptr, &y, 0, 1, 1, DType::f32}, pool);
  cpu::linear({&x, &w, nullptr, nullptr, &y, 1, 1, 0, DType::f32}, pool);
  EXPECT_EQ(y, 7);
}

/// A long input is cut, and sums wait between the cuts.
TEST_P(LinearKernel, LongInputsMatchTheReferenceAndEachRowIsItsOwn) {
  ThreadPool pool(2);
  Random random(5);
  for (const std::int64_t n_in : {1023, 1024, 1025, 1697, 5121}) {
    const std::int64_t n_out = 153;  // more panels than share a cut
    const Problem p(random, DType::bf16, 7, n_in, n_out);
    const std::vector<float> y = run(p.args, pool);
    expect_near(y, expected(p.args), tolerance_of(n_in), "in " + std::to_string(n_in));
    for (const std::int64_t row : {0, 5, 6}) {
      Linear alone = p.args;
      alone.n_rows = 1;
      alone.x += row * n_in;
      alone.residual += row * n_out;
      expect_same_bits({y.begin() + row * n_out, y.begin() + (row + 1) * n_out}, run(alone, pool),
                       "in " + std::to_string(n_in) + " row " + std::to_string(row));
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
