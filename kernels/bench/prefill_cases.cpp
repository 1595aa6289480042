// A prompt's pass: causal attention, and the weight products by packed fp32 panels.

#include <fmt/format.h>

#include <algorithm>

#include "kernels/bench/cases.h"
#include "kernels/packed_linear.h"
#include "kernels/prefill_attention.h"

namespace tide::kernels::bench {

namespace {

constexpr std::int64_t kRows = 512;       // of a prompt, passed together
constexpr std::int64_t kBlockRows = 126;  // of a packed product on one thread
constexpr std::int64_t kOuts = 2 * kFfn;  // of a layer's largest matrix

Case attention_case(Workbench& bench, std::int64_t first) {
  const double pairs = static_cast<double>(kRows) * (static_cast<double>(first) + (kRows + 1) / 2.0);
  const auto prepare = [&bench, first] {
    return [&bench, first, query = random_floats(kRows * kHeads * kHeadDim),
            out = std::vector<float>(kRows * kHeads * kHeadDim)]() mutable {
      cpu::prefill_attention({query.data(), kHeads * kHeadDim, cold_layer(bench.memory, first + kRows), first,
                              kRows, kHeads, out.data(), cpu::has_bf16_dot_products()},
                             bench.pool);
    };
  };
  return {fmt::format("prefill attention, {} rows after {}", kRows, first), 0,
          4.0 * kHeads * kHeadDim * pairs, "", prepare};
}

Case pack_case(Workbench& bench) {
  const auto prepare = [&bench] {
    return [&bench, packed = std::vector<float>(packed_size(kHidden, kOuts))]() mutable {
      cpu::pack_weight({bench.memory.next(kHidden * kOuts), packed.data(), kHidden, kOuts, DType::bf16},
                       bench.pool);
    };
  };
  return {fmt::format("packing bf16 weights, {} x {}", kHidden, kOuts), 2.0 * kHidden * kOuts, 0, "",
          prepare};
}

Case packed_product_case(Workbench& bench) {
  const auto prepare = [&bench] {
    return [&bench, x = random_floats(kRows * kHidden), packed = random_floats(packed_size(kHidden, kOuts)),
            y = std::vector<float>(kRows * kOuts)]() mutable {
      bench.pool.run((kRows + kBlockRows - 1) / kBlockRows, [&](std::int64_t block) {
        const std::int64_t first = block * kBlockRows, count = std::min(kBlockRows, kRows - first);
        cpu::packed_linear({x.data() + first * kHidden, packed.data(), y.data() + first * kOuts, count,
                            kHidden, kOuts, false});
      });
    };
  };
  return {fmt::format("packed product, {} x {}, {} rows", kHidden, kOuts, kRows), 0,
          2.0 * kRows * kHidden * kOuts, "", prepare};
}

}  // namespace

std::vector<Case> prefill_cases(Workbench& bench) {
  return {attention_case(bench, 512), attention_case(bench, 7680), pack_case(bench),
          packed_product_case(bench)};
}

}  // namespace tide::kernels::bench
