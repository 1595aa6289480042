// A plain read at the machine's limit. One thread that walks along one line of memory leaves the hardware
// prefetcher idle at each page's end; four lines at once keep it busy.

#include "kernels/read_memory.h"

#include <atomic>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/read_memory.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kStreams = 4, kVectors = 2;

/// The exclusive or of word[0 .. n).
std::uint64_t read_run(const std::uint64_t* word, std::size_t n) {
  const HWY_FULL(std::uint64_t) d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t step = kVectors * lanes, stream = n / kStreams / step * step;
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (std::size_t i = 0; i < stream; i += step) {
    const std::uint64_t* p = word + i;
    a0 = hn::Xor(a0, hn::LoadU(d, p));
    b0 = hn::Xor(b0, hn::LoadU(d, p + lanes));
    a1 = hn::Xor(a1, hn::LoadU(d, p + stream));
    b1 = hn::Xor(b1, hn::LoadU(d, p + stream + lanes));
    a2 = hn::Xor(a2, hn::LoadU(d, p + 2 * stream));
    b2 = hn::Xor(b2, hn::LoadU(d, p + 2 * stream + lanes));
    a3 = hn::Xor(a3, hn::LoadU(d, p + 3 * stream));
    b3 = hn::Xor(b3, hn::LoadU(d, p + 3 * stream + lanes));
  }
  const auto sum =
      hn::Xor(hn::Xor(hn::Xor(a0, a1), hn::Xor(a2, a3)), hn::Xor(hn::Xor(b0, b1), hn::Xor(b2, b3)));
  HWY_ALIGN std::uint64_t lane[HWY_MAX_BYTES / sizeof(std::uint64_t)];
  hn::Store(sum, d, lane);
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < lanes; ++i) all ^= lane[i];
  for (std::size_t i = kStreams * stream; i < n; ++i) all ^= word[i];
  return all;
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {
HWY_EXPORT(read_run);
}  // namespace

std::uint64_t read_memory(const ReadMemory& args, ThreadPool& pool) {
  const std::int64_t n_runs =
      8 * pool.n_threads();  // several a thread: one that is held up hands its rest on
  std::atomic<std::uint64_t> all = 0;
  pool.run(n_runs, [&](std::int64_t run) {
    const std::int64_t first = args.n_words * run / n_runs, last = args.n_words * (run + 1) / n_runs;
    all.fetch_xor(HWY_DYNAMIC_DISPATCH(read_run)(args.word + first, static_cast<std::size_t>(last - first)));
  });
  return all.load();
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
