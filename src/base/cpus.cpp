#include "base/cpus.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/text.h"

namespace tide {

namespace {

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::vector<int> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  // A machine with more processors than the set holds is refused by the call; then it is one core.
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

/// Whole processors of time that the control group grants; 0: no limit.
std::size_t quota(const std::filesystem::path& system) {
  std::istringstream line(first_line(system / "sys/fs/cgroup/cpu.max"));
  double granted = 0, period = 0;
  if (!(line >> granted >> period) || period <= 0) return 0;  // "max" is no number
  return std::max<std::size_t>(1, static_cast<std::size_t>(granted / period));
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& list) {
  std::vector<int> cpus;
  for (const std::string& range : split(list, ',')) {
    const auto dash = range.find('-');
    const std::int64_t first = parse_integer(range.substr(0, dash), "processor");
    const std::int64_t last =
        dash == std::string::npos ? first : parse_integer(range.substr(dash + 1), "processor");
    if (first < 0 || last < first || last > 1 << 20) fail_input("processors '{}': not a list", list);
    for (std::int64_t cpu = first; cpu <= last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

std::vector<int> usable_cores(const std::filesystem::path& system) {
  std::vector<int> cores;
  std::set<int> seen;  // threads of the cores that are in already
  for (const int cpu : allowed()) {
    if (seen.contains(cpu)) continue;
    cores.push_back(cpu);
    const std::string siblings =
        first_line(system / fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    if (siblings.empty()) continue;
    for (const int sibling : parse_cpu_list(siblings)) seen.insert(sibling);
  }
  if (cores.empty()) return {0};
  if (const std::size_t most = quota(system); most > 0 && most < cores.size()) cores.resize(most);
  return cores;
}

}  // namespace tide
