// What a result must say of where it was made.

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "cli/common.h"
#include "cli/version.h"

namespace tide::cli {

namespace {

/// The value after `key :` of the first matching line of a /proc file; empty: none.
std::string proc_value(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    const auto begin = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (begin != std::string::npos) return line.substr(begin);
  }
  return "";
}

/// How the kernel shares its processors out to us: "other, nice 0", "fifo, priority 50".
std::string scheduling() {
  sched_param parameters{};
  ::sched_getparam(0, &parameters);
  const int priority = parameters.sched_priority;
  switch (::sched_getscheduler(0)) {
    case SCHED_FIFO:
      return "fifo, priority " + std::to_string(priority);
    case SCHED_RR:
      return "rr, priority " + std::to_string(priority);
    case SCHED_BATCH:
      return "batch, nice " + std::to_string(::getpriority(PRIO_PROCESS, 0));
    case SCHED_IDLE:
      return "idle";
    default:
      return "other, nice " + std::to_string(::getpriority(PRIO_PROCESS, 0));
  }
}

}  // namespace

nlohmann::json machine_facts(int n_threads, std::span<const int> cpus) {
  nlohmann::json pinned = nlohmann::json::array();  // thread 0 is the caller, which stays free
  for (std::size_t i = 0; i < cpus.size() && i < static_cast<std::size_t>(n_threads); ++i) {
    pinned.push_back(i == 0 ? nlohmann::json() : nlohmann::json(cpus[i]));
  }
  utsname system{};
  ::uname(&system);
  return {{"cpu", proc_value("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"threads", n_threads},
          {"threads_pinned_to", pinned},
          {"cpus_allowed", proc_value("/proc/self/status", "Cpus_allowed_list")},
          {"scheduling", scheduling()},
          {"memory", proc_value("/proc/meminfo", "MemTotal")},
          {"gpu", nullptr},
          {"system", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"compiler", __VERSION__},
          {"libtorch", TIDEGAUGE_LIBTORCH},
          {"tidegauge", TIDEGAUGE_VERSION},
          {"commit", TIDEGAUGE_COMMIT}};
}

}  // namespace tide::cli
