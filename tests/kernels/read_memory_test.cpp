#include "kernels/read_memory.h"

#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {
namespace {

class ReadMemoryTest : public OnEveryTarget {};
TIDE_ON_EVERY_TARGET(ReadMemoryTest);

TEST_P(ReadMemoryTest, ReadsEveryWordOnceWhateverTheSizeAndTheThreads) {
  Random random;
  for (const int n_threads : {1, 2, 3}) {
    ThreadPool pool(n_threads);
    for (const std::int64_t n : {0, 1, 7, 8, 31, 32, 33, 97, 512, 8191, 8192, 100003}) {
      std::vector<std::uint64_t> word(static_cast<std::size_t>(n));
      for (std::uint64_t& w : word) w = std::uint64_t{random.bits()} << 32 | random.bits();
      EXPECT_EQ(cpu::read_memory({word.data(), n}, pool), reference::read_memory({word.data(), n}, pool))
          << n << " words, " << n_threads << " threads";
    }
  }
}

}  // namespace
}  // namespace tide::kernels::test
