// A decode step takes no memory once its buffers have their size. Alone in its program, because it counts
// every allocation of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <new>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace {

std::atomic<long> allocations = 0;

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The array forms and those that do not throw call these.
void* operator new(std::size_t size) { return counted(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace tide::testing {
namespace {

class SteadyState : public ::testing::TestWithParam<const char*> {};

TEST_P(SteadyState, OfADecodeStepAllocatesNothing) {
  // Buffers grow by a share of themselves as the context does, and a thread that takes a task for the first
  // time makes its own: what is asked for is a run of steps that need nothing.
  constexpr int kMaxSteps = 200, kQuiet = 12;
  Decoder decoder(tiny_model(WeightType::bf16), {.n_threads = 2});
  const auto prompt = decoder.prefill(random_ids(100, 1), nullptr, {}, kAllNeeds);
  const auto policy = policy_of(GetParam());
  std::vector<std::unique_ptr<Sequence>> forks;
  std::vector<Sequence*> rows;
  for (std::uint64_t i = 0; i < 3; ++i) {
    forks.push_back(decoder.fork(prompt, policy, kMaxSteps, i));
    rows.push_back(forks.back().get());
  }
  const std::vector<std::int32_t> fed(rows.size(), prompt->ids.back());
  int quiet = 0, longest = 0;
  for (int step = 0; step < kMaxSteps && quiet < kQuiet; ++step) {
    const long before = allocations;
    decoder.step(rows, fed);
    quiet = allocations == before ? quiet + 1 : 0;
    longest = std::max(longest, quiet);
  }
  EXPECT_EQ(longest, kQuiet) << "the longest run of steps without an allocation";
}

INSTANTIATE_TEST_SUITE_P(
    Policies, SteadyState,
    ::testing::Values("full", "tidal:budget=16,select=1+3", "tidal:budget=16,select=1+3,sharing=group",
                      "oracle:budget=8", "random:budget=8", "window:budget=8", "sparq:budget=8",
                      "sparq:budget=8,sharing=head", "doublesparsity:budget=8,channels=all",
                      "doublesparsity:budget=8,channels=all,labels=4,sharing=group", "streaming:budget=8",
                      "streaming:budget=8,positions=original", "h2o:budget=8", "h2o:budget=9,sharing=head",
                      "snapkv:budget=8", "snapkv:budget=9,sharing=head,full=1",
                      "tokenselect:budget=24,threshold=1.5",
                      "tokenselect:budget=24,threshold=1.5,scores=raw"),
    [](const auto& test) {
      std::string name = test.param;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

}  // namespace
}  // namespace tide::testing
