#include "cli/bench/bandwidth.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "kernels/read_memory.h"

namespace tide::cli {

namespace {

constexpr int kPasses = 5;

}  // namespace

ReadBandwidth::ReadBandwidth(int n_threads) : pool_(n_threads) {
  // Memory that was never written is one page of zeros, which every cache holds.
  memory_.reset(bytes());
  auto* word = reinterpret_cast<std::uint64_t*>(memory_.data());
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < bytes() / 8; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    word[i] = state;
    expected_ ^= state;
  }
}

double ReadBandwidth::measure() {
  const kernels::ReadMemory block{reinterpret_cast<const std::uint64_t*>(memory_.data()),
                                  static_cast<std::int64_t>(bytes() / 8)};
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t found = kernels::cpu::read_memory(block, pool_);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    TIDE_ASSERT(found == expected_);
    best = std::max(best, static_cast<double>(bytes()) / seconds.count() / 1e9);
  }
  return best;
}

}  // namespace tide::cli
