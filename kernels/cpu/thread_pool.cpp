#include "kernels/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tide::kernels {
namespace {

/// How long a worker looks for the next region before it sleeps: a decode step starts one every few
/// tens of microseconds, and waking a sleeper costs as much.
constexpr std::chrono::microseconds kSpin{60};

void cpu_relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

/// The region's state. `phase` is odd while a region is open. A worker enters by adding itself to
/// `inside` and then looks at `phase` again; the caller closes the phase and then waits for `inside`
/// to be empty. So a worker that wakes late finds the region closed and never reads a stale task,
/// and the caller never waits for a worker that is still asleep.
struct ThreadPool::Team {
  std::atomic<std::uint32_t> phase{0};
  std::atomic<int> inside{0};
  std::atomic<bool> stopping{false};
  std::atomic<std::int64_t> next{0};
  std::int64_t n_tasks = 0;
  const void* context = nullptr;
  Call call = nullptr;
  std::mutex failure_mutex;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  void work();
  void work_inside();
  std::uint32_t wait_for_region(std::uint32_t seen) const;
};

/// Takes indices until none is left. Every index runs, even after one has thrown.
void ThreadPool::Team::work_inside() {
  for (;;) {
    const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
    if (index >= n_tasks) return;
    try {
      call(context, index);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }
}

/// Returns the phase of an open region other than `seen`, or any phase once the team stops.
std::uint32_t ThreadPool::Team::wait_for_region(std::uint32_t seen) const {
  const auto ready = [&](std::uint32_t now) { return stopping.load() || (now != seen && now % 2 == 1); };
  const auto give_up = std::chrono::steady_clock::now() + kSpin;
  std::uint32_t now = phase.load();
  for (int round = 1; !ready(now); ++round) {
    if (round % 32 == 0 && std::chrono::steady_clock::now() > give_up) {
      phase.wait(now);
    } else {
      cpu_relax();
    }
    now = phase.load();
  }
  return now;
}

void ThreadPool::Team::work() {
  std::uint32_t seen = 0;
  for (;;) {
    seen = wait_for_region(seen);
    if (stopping.load()) return;
    inside.fetch_add(1);
    if (phase.load() == seen) work_inside();
    inside.fetch_sub(1);
  }
}

namespace {

/// A place is a matter of speed alone: one that the system does not grant is no error.
void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set);
}

}  // namespace

ThreadPool::ThreadPool(int n_threads, std::span<const int> cpus) : team_(std::make_unique<Team>()) {
  for (int i = 1; i < n_threads; ++i) {
    const int cpu = static_cast<std::size_t>(i) < cpus.size() ? cpus[static_cast<std::size_t>(i)] : -1;
    team_->workers.emplace_back([team = team_.get(), cpu] {
      if (cpu >= 0 && cpu < CPU_SETSIZE) stay_on(cpu);
      team->work();
    });
  }
}

ThreadPool::~ThreadPool() {
  team_->stopping.store(true);
  team_->phase.fetch_add(2);
  team_->phase.notify_all();
  for (std::thread& worker : team_->workers) worker.join();
}

int ThreadPool::n_threads() const { return static_cast<int>(team_->workers.size()) + 1; }

void ThreadPool::run_erased(std::int64_t n_tasks, const void* context, Call call) {
  Team& team = *team_;
  team.n_tasks = n_tasks;
  team.context = context;
  team.call = call;
  team.next.store(0, std::memory_order_relaxed);
  if (n_tasks <= 1 || team.workers.empty()) {
    team.work_inside();
  } else {
    team.phase.fetch_add(1);
    team.phase.notify_all();
    team.work_inside();
    team.phase.fetch_add(1);
    for (int round = 0; team.inside.load() != 0; ++round) {
      // A worker that lost its core needs ours to finish.
      round < 4096 ? cpu_relax() : std::this_thread::yield();
    }
  }
  if (team.failure) std::rethrow_exception(std::exchange(team.failure, nullptr));
}

}  // namespace tide::kernels
