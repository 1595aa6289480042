#include "kernels/packed_linear.h"

#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class PackedLinearKernel : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(PackedLinearKernel);

/// One problem's arrays; outputs are of order 1.
struct Problem {
  Problem(Random& random, DType of, std::int64_t rows, std::int64_t in, std::int64_t out)
      : dtype(of),
        n_rows(rows),
        n_in(in),
        n_out(out),
        x(random.normals(static_cast<std::size_t>(rows * in))),
        weight(stored(
            random.normals(static_cast<std::size_t>(in * out), 1.0f / std::sqrt(static_cast<float>(in))),
            of)),
        before(random.normals(static_cast<std::size_t>(rows * out))) {}

  std::vector<float> packed(void (*pack)(const PackWeight&, ThreadPool&), ThreadPool& pool) const {
    std::vector<float> panels(static_cast<std::size_t>(packed_size(n_in, n_out)), -1.0f);
    pack({weight.data(), panels.data(), n_in, n_out, dtype}, pool);
    return panels;
  }

  /// Rows first .. end - 1 of the product, or of its sum with `before`.
  std::vector<float> product(void (*kernel)(const PackedLinear&), const std::vector<float>& panels, bool add,
                             std::int64_t first, std::int64_t end) const {
    std::vector<float> y(before.begin() + first * n_out, before.begin() + end * n_out);
    kernel({x.data() + first * n_in, panels.data(), y.data(), end - first, n_in, n_out, add});
    return y;
  }

  std::string text() const {
    return std::string(name_of(dtype)) + " rows " + std::to_string(n_rows) + " in " + std::to_string(n_in) +
           " out " + std::to_string(n_out);
  }

  DType dtype;
  std::int64_t n_rows, n_in, n_out;
  std::vector<float> x;
  std::vector<std::uint8_t> weight;
  std::vector<float> before;
};

TEST_P(PackedLinearKernel, PacksAsTheReferenceDoes) {
  ThreadPool pool(2);
  Random random;
  for (const DType dtype : kDTypes) {
    for (const std::int64_t n_in : {1, 3, 4, 7, 8, 15, 16, 17, 97}) {
      for (const std::int64_t n_out : {1, 3, 15, 16, 17, 33, 97}) {
        const Problem p(random, dtype, 1, n_in, n_out);
        expect_same_bits(p.packed(cpu::pack_weight, pool), p.packed(reference::pack_weight, pool), p.text());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(PackedLinearKernel, MatchesTheReferenceAtSizesOffTheGrid) {
  ThreadPool pool(1);
  Random random(1);
  // 288 inputs are the most that one cut takes; 64 outputs the widest tile.
  for (const std::int64_t n_in : {1, 7, 16, 97, 288, 289, 577}) {
    for (const std::int64_t n_out : {1, 15, 16, 17, 63, 64, 65, 97}) {
      for (const std::int64_t n_rows : {1, 2, 3, 4, 5, 6, 7, 12, 23}) {
        const Problem p(random, DType::bf16, n_rows, n_in, n_out);
        const std::vector<float> panels = p.packed(reference::pack_weight, pool);
        for (const bool add : {false, true}) {
          expect_near(p.product(cpu::packed_linear, panels, add, 0, n_rows),
                      p.product(reference::packed_linear, panels, add, 0, n_rows), tolerance(DType::bf16),
                      p.text() + (add ? " added" : ""));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(PackedLinearKernel, ARowKeepsItsBitsWhateverStandsBesideIt) {
  ThreadPool pool(1);
  Random random(2);
  const Problem p(random, DType::bf16, 23, 333, 45);
  const std::vector<float> panels = p.packed(cpu::pack_weight, pool);
  for (const bool add : {false, true}) {
    const std::vector<float> want = p.product(cpu::packed_linear, panels, add, 0, p.n_rows);
    for (const std::int64_t step : {1, 2, 3, 4, 5, 6, 7, 11}) {
      std::vector<float> parts;
      for (std::int64_t r = 0; r < p.n_rows; r += step) {
        const auto part = p.product(cpu::packed_linear, panels, add, r, std::min(p.n_rows, r + step));
        parts.insert(parts.end(), part.begin(), part.end());
      }
      expect_same_bits(parts, want, "blocks of " + std::to_string(step) + " rows");
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
