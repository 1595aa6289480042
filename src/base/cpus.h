#pragma once
// The processors that threads are placed on.

#include <filesystem>
#include <string>
#include <vector>

namespace tide {

/// One processor of every core that this process may use, ascending: a second thread of a core adds little
/// to arithmetic that fills the first. At most as many as the process's quota pays for. Never empty: {0}
/// where the system tells nothing.
/// `system`: the root of the system's own files, another one in tests.
std::vector<int> usable_cores(const std::filesystem::path& system = "/");

/// The numbers of a list as the kernel writes it: "0-2,5". Throws InputError.
std::vector<int> parse_cpu_list(const std::string& list);

}  // namespace tide
