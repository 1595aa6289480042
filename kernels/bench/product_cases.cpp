// The weight products of one decode step: all layers and the LM head.

#include <fmt/format.h>

#include "kernels/bench/cases.h"
#include "kernels/linear.h"
#include "kernels/linear_q8.h"

namespace tide::kernels::bench {

namespace {

struct Product {
  std::int64_t n_in, n_out;
  std::size_t n_weights() const { return static_cast<std::size_t>(n_in * n_out); }
};

std::vector<Product> products_of_a_step() {
  std::vector<Product> step;
  for (int layer = 0; layer < kLayers; ++layer) {
    step.insert(step.end(), {{kHidden, (kHeads + 2 * kKvHeads) * kHeadDim},
                             {kHeads * kHeadDim, kHidden},
                             {kHidden, 2 * kFfn},
                             {kFfn, kHidden}});
  }
  step.push_back({kHidden, kVocabulary});
  return step;
}

double n_weights() {
  double count = 0;
  for (const Product& p : products_of_a_step()) count += static_cast<double>(p.n_weights());
  return count;
}

/// Input and output rows, as wide as the widest product needs.
struct Rows {
  explicit Rows(std::int64_t n)
      : count(n),
        x(random_floats(static_cast<std::size_t>(n * kFfn))),
        y(static_cast<std::size_t>(n * kVocabulary)) {}
  std::int64_t count;
  std::vector<float> x, y;
};

std::string name_of(const char* weights, std::int64_t n_rows) {
  return fmt::format("products of a step, {} weights, {} row{}", weights, n_rows, n_rows > 1 ? "s" : "");
}

double operations(std::int64_t n_rows) { return 2 * n_weights() * static_cast<double>(n_rows); }

Case bf16_case(Workbench& bench, std::int64_t n_rows) {
  const auto prepare = [&bench, n_rows] {
    return [&bench, step = products_of_a_step(), rows = Rows(n_rows)]() mutable {
      for (const Product& p : step) {
        cpu::linear({rows.x.data(), bench.memory.next(p.n_weights()), nullptr, nullptr, rows.y.data(),
                     rows.count, p.n_in, p.n_out, DType::bf16},
                    bench.pool);
      }
    };
  };
  return {name_of("bf16", n_rows), 2 * n_weights(), operations(n_rows), n_rows > 1 ? name_of("bf16", 1) : "",
          prepare};
}

Case q8_case(Workbench& bench, std::int64_t n_rows) {
  const auto prepare = [&bench, n_rows] {
    return [&bench, step = products_of_a_step(), rows = Rows(n_rows)]() mutable {
      for (const Product& p : step) {
        const auto* weight = reinterpret_cast<const std::int8_t*>(bench.memory.next(p.n_weights() / 2));
        const std::uint16_t* scale = bench.memory.next(p.n_weights() / kQ8Block);
        cpu::linear_q8(
            {rows.x.data(), weight, scale, nullptr, nullptr, rows.y.data(), rows.count, p.n_in, p.n_out},
            bench.pool);
      }
    };
  };
  return {name_of("Q8_0", n_rows), n_weights() * 34 / 32, operations(n_rows),
          n_rows > 1 ? name_of("Q8_0", 1) : name_of("bf16", 1), prepare};
}

}  // namespace

std::vector<Case> product_cases(Workbench& bench) {
  std::vector<Case> cases;
  for (const auto make : {bf16_case, q8_case}) {
    for (const std::int64_t n_rows : {1, 2, 4, 16, 64}) cases.push_back(make(bench, n_rows));
  }
  return cases;
}

}  // namespace tide::kernels::bench
