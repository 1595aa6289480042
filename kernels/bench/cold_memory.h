#pragma once
// Inputs of the timed calls, drawn from a fixed seed.

#include <cstdint>
#include <memory>
#include <vector>

namespace tide::kernels::bench {

constexpr std::uint32_t kSeed = 7;

/// Values of a normal distribution.
std::vector<float> random_floats(std::size_t count);

/// A block of memory larger than any last-level cache that these kernels meet, which all cases read in
/// turn: what is served next is what was read longest ago. Made at the first use.
class ColdMemory {
 public:
  /// The next `count` random bf16 values of order 1, in huge pages as the KV cache is, at a cache line's
  /// beginning. Any other type's bits are as good.
  const std::uint16_t* next(std::size_t count);

 private:
  void make();

  std::shared_ptr<std::uint16_t> values_;
  std::size_t at_ = 0;
};

}  // namespace tide::kernels::bench
