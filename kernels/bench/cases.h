#pragma once
// What `tidegauge bench kernels` times: calls of the CPU kernels at the sizes of a Llama model of 135
// million parameters (30 layers, 9 query and 3 KV heads of 64), large inputs from memory that no cache
// still holds.

#include <functional>
#include <string>
#include <vector>

#include "kernels/bench/cold_memory.h"
#include "kernels/thread_pool.h"
#include "kernels/types.h"

namespace tide::kernels::bench {

/// One kernel at one size.
struct Case {
  std::string name;
  double bytes = 0;       ///< that one call must read from memory; 0: not bound by it
  double operations = 0;  ///< multiplications and additions of one call; 0: not told
  std::string base;       ///< the case that this one's time is told as a share of; empty: none
  /// Makes the small inputs and gives the call, which keeps them alive.
  std::function<std::function<void()>()> prepare;
};

/// What all cases share; outlives their calls.
struct Workbench {
  explicit Workbench(int n_threads) : pool(n_threads) {}
  ThreadPool pool;
  ColdMemory memory;
};

/// All cases, those of one kernel beside each other.
std::vector<Case> all_cases(Workbench& bench);

std::vector<Case> attention_cases(Workbench& bench);
std::vector<Case> selection_cases(Workbench& bench);
std::vector<Case> product_cases(Workbench& bench);
std::vector<Case> prefill_cases(Workbench& bench);
std::vector<Case> elementwise_cases(Workbench& bench);

/// "full attention with scores, 8192 positions": the base of what selects from its scores.
std::string full_attention_name(std::int64_t kv_len, bool scores);

constexpr int kHeads = 9, kKvHeads = 3, kHeadDim = 64, kLayers = 30;
constexpr int kHidden = 576, kFfn = 1536, kVocabulary = 49152;

/// K and V of one layer in bf16, `kv_len` positions that no cache holds.
KvView cold_layer(ColdMemory& memory, std::int64_t kv_len);

}  // namespace tide::kernels::bench
