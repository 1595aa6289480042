#pragma once
// The CPU kernels' threads: a fixed team that runs index ranges, cheap enough for 200 regions a step.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace tide::kernels {

/// A fixed team of `n_threads` (the caller is one of them). Workers spin briefly between regions,
/// then sleep. Not re-entrant: a task must not start a region of the same pool.
class ThreadPool {
 public:
  /// Worker i stays on processor cpus[i] where there is one (and the system allows it); the caller, which is
  /// thread 0, stays as it is.
  explicit ThreadPool(int n_threads, std::span<const int> cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const;

  /// Calls task(i) once for every i in [0, n_tasks), on whichever thread is free, and returns when
  /// all are done. The first exception a task throws is rethrown here.
  template <typename Task>
  void run(std::int64_t n_tasks, const Task& task) {
    run_erased(n_tasks, &task,
               [](const void* context, std::int64_t index) { (*static_cast<const Task*>(context))(index); });
  }

 private:
  using Call = void (*)(const void* context, std::int64_t index);
  void run_erased(std::int64_t n_tasks, const void* context, Call call);

  struct Team;
  std::unique_ptr<Team> team_;
};

}  // namespace tide::kernels
