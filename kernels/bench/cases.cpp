#include "kernels/bench/cases.h"

#include <algorithm>
#include <iterator>

namespace tide::kernels::bench {

std::vector<Case> all_cases(Workbench& bench) {
  std::vector<Case> all;
  for (const auto cases :
       {attention_cases, selection_cases, product_cases, prefill_cases, elementwise_cases}) {
    std::ranges::move(cases(bench), std::back_inserter(all));
  }
  return all;
}

KvView cold_layer(ColdMemory& memory, std::int64_t kv_len) {
  const std::int64_t values = kKvHeads * kHeadDim * kv_len;
  const std::uint16_t* k = memory.next(static_cast<std::size_t>(2 * values));
  return {DType::bf16,
          kKvHeads,
          kHeadDim,
          {{k, k + values, kv_len * kHeadDim, 0, kv_len}, {nullptr, nullptr, 0, kv_len, 0}}};
}

}  // namespace tide::kernels::bench
