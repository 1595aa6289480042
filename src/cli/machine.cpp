// What a result must say of where it was made.

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

}  // namespace

nlohmann::json machine_facts(int n_threads) {
  utsname system{};
  ::uname(&system);
  return {{"cpu", proc_value("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"threads", n_threads},
          {"memory", proc_value("/proc/meminfo", "MemTotal")},
          {"gpu", nullptr},
          {"system", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"compiler", __VERSION__},
          {"libtorch", TIDEGAUGE_LIBTORCH},
          {"tidegauge", TIDEGAUGE_VERSION},
          {"commit", TIDEGAUGE_COMMIT}};
}

}  // namespace tide::cli
