#include "kernels/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace tide::kernels {
namespace {

TEST(ThreadPool, RunsEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.n_threads(), threads);
    for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
      pool.run(n, [&](std::int64_t i) { ++seen[static_cast<std::size_t>(i)]; });
      for (const auto& count : seen) EXPECT_EQ(count, 1) << threads << " threads, " << n << " tasks";
    }
  }
}

TEST(ThreadPool, ResultsAreVisibleAfterEachOfManyShortRegions) {
  ThreadPool pool(3);
  std::vector<int> value(5, 0);
  for (int region = 1; region <= 20000; ++region) {
    pool.run(5, [&](std::int64_t i) { ++value[static_cast<std::size_t>(i)]; });
    for (const int v : value) ASSERT_EQ(v, region);
  }
}

TEST(ThreadPool, WakesWorkersThatHaveGoneToSleep) {
  ThreadPool pool(2);
  for (int region = 0; region < 20; ++region) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    // Two tasks that wait for one another can only end when both threads run.
    std::atomic<int> arrived{0};
    pool.run(2, [&](std::int64_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    EXPECT_EQ(arrived, 2);
  }
}

TEST(ThreadPool, KeepsAWorkerOnItsProcessorAndLeavesTheCaller) {
  cpu_set_t allowed, of_thread[2];
  ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &allowed)) --last;
  ThreadPool pool(2, std::vector<int>{last, last});
  std::atomic<int> arrived{0};
  const auto caller = std::this_thread::get_id();
  pool.run(2, [&](std::int64_t) {
    ::sched_getaffinity(0, sizeof(cpu_set_t), &of_thread[std::this_thread::get_id() == caller ? 0 : 1]);
    ++arrived;
    while (arrived < 2) std::this_thread::yield();  // so that each thread has a task
  });
  EXPECT_TRUE(CPU_EQUAL(&of_thread[0], &allowed));
  EXPECT_EQ(CPU_COUNT(&of_thread[1]), 1);
  EXPECT_TRUE(CPU_ISSET(last, &of_thread[1]));
}

TEST(ThreadPool, RethrowsATaskExceptionAfterTheOthersRan) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> ran{0};
    const auto task = [&](std::int64_t i) {
      ++ran;
      if (i == 4) throw std::runtime_error("task 4");
    };
    EXPECT_THROW(pool.run(50, task), std::runtime_error);
    EXPECT_EQ(ran, 50);
    ran = 0;
    pool.run(4, task);  // the pool is sound afterwards, and the exception gone
    EXPECT_EQ(ran, 4);
  }
}

TEST(ThreadPool, PoolsDoNotDisturbOneAnother) {
  std::atomic<std::int64_t> total{0};
  const auto use = [&] {
    ThreadPool pool(2);
    for (int region = 0; region < 500; ++region) pool.run(4, [&](std::int64_t i) { total += i; });
  };
  std::thread other(use);
  use();
  other.join();
  EXPECT_EQ(total, 2 * 500 * 6);
}

}  // namespace
}  // namespace tide::kernels
