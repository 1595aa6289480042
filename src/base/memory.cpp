#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "base/error.h"

namespace tide {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// A file's only number; kUnlimited for "max", or where there is none.
std::int64_t number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::int64_t number = 0;
  return in >> number ? number : kUnlimited;
}

/// The value of a line "KEY: 12 kB" or "KEY 12" of a file, as written.
std::int64_t field_in(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t number = 0;
    if (words >> name >> number && (name == key || name == key + ":")) return number;
  }
  return 0;
}

/// What a group and those above it leave. Pages of files count as used there, though the system takes the
/// inactive ones back when it needs room.
std::int64_t left_in_group(const std::filesystem::path& root, std::filesystem::path group, const char* limit,
                           const char* usage) {
  std::int64_t left = kUnlimited;
  while (true) {
    const auto folder = root / group.relative_path();
    const std::int64_t most = number_in(folder / limit), used = number_in(folder / usage);
    if (most != kUnlimited && used != kUnlimited) {
      const auto files = field_in(folder / "memory.stat", "inactive_file");
      left = std::min(left, std::max<std::int64_t>(most - used + files, 0));
    }
    if (!group.has_relative_path()) return left;
    group = group.parent_path();
  }
}

std::int64_t left_in_groups(const std::filesystem::path& system) {
  std::int64_t left = kUnlimited;
  std::ifstream groups(system / "proc/self/cgroup");
  const auto root = system / "sys/fs/cgroup";
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      left = std::min(left, left_in_group(root, group, "memory.max", "memory.current"));
    } else if (controllers == "memory") {
      left = std::min(
          left, left_in_group(root / "memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    }
  }
  return left;
}

}  // namespace

std::int64_t parse_bytes(std::string_view text, std::string_view what) {
  const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string_view unit = text.substr(end);
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  constexpr std::string_view kLetters = "KMGT";
  const auto power = unit.empty() || unit == "B" ? std::string_view::npos : kLetters.find(unit.front());
  const std::string_view rest = unit.empty() ? unit : unit.substr(1);
  const bool known = unit.empty() || unit == "B" ||
                     (power != std::string_view::npos && (rest.empty() || rest == "B" || rest == "iB"));
  double bytes = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, bytes);
  if (!known || error != std::errc() || stop != text.data() + end || bytes < 1)
    fail_input("{}: '{}', expected bytes such as 8GB, 8GiB or 512M", what, text);
  if (power != std::string_view::npos)
    bytes *= std::pow(rest == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
  if (bytes > 1e18) fail_input("{}: '{}' is out of range", what, text);
  return static_cast<std::int64_t>(bytes);
}

std::int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::int64_t available_bytes(const std::filesystem::path& system) {
  const std::int64_t machine = field_in(system / "proc/meminfo", "MemAvailable") * 1024;
  return std::min(machine > 0 ? machine : kUnlimited, left_in_groups(system));
}

}  // namespace tide
