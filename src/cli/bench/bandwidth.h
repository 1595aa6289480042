#pragma once
// The machine's read bandwidth, which what is bound by memory is measured against.

#include <cstddef>
#include <vector>

#include "decode/kv_cache.h"
#include "kernels/thread_pool.h"

namespace tide::cli {

/// A block of memory larger than any last-level cache, and threads that read it.
class ReadBandwidth {
 public:
  explicit ReadBandwidth(int n_threads);

  /// GB/s of the best of a few passes over the block (some 50 ms).
  double measure();
  /// Bytes of the block.
  static constexpr std::size_t bytes() { return std::size_t{256} << 20; }

 private:
  kernels::ThreadPool pool_;
  KvMemory memory_;
  std::uint64_t expected_ = 0;
};

}  // namespace tide::cli
