#include "kernels/bench/cold_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <random>

#include "base/error.h"

namespace tide::kernels::bench {

namespace {

constexpr std::size_t kBytes = std::size_t{256} << 20, kValues = kBytes / 2;
constexpr std::size_t kHugePage = std::size_t{2} << 20, kLineValues = 32;

}  // namespace

std::vector<float> random_floats(std::size_t count) {
  std::mt19937 engine(kSeed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(engine);
  return values;
}

const std::uint16_t* ColdMemory::next(std::size_t count) {
  TIDE_ASSERT(count <= kValues);
  if (!values_) make();
  if (at_ + count > kValues) at_ = 0;
  const std::uint16_t* served = values_.get() + at_;
  at_ += (count + kLineValues - 1) / kLineValues * kLineValues;
  return served;
}

void ColdMemory::make() {
  void* memory = std::aligned_alloc(kHugePage, kBytes);
  if (memory == nullptr) throw std::bad_alloc();
  ::madvise(memory, kBytes, MADV_HUGEPAGE);
  values_.reset(static_cast<std::uint16_t*>(memory), std::free);
  std::uint64_t state = kSeed;
  for (std::size_t i = 0; i < kValues; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values_.get()[i] =
        static_cast<std::uint16_t>(((state >> 40) & 0x83ffu) | 0x3c00u);  // exponents 120 .. 127
  }
}

}  // namespace tide::kernels::bench
