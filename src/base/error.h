#pragma once
// The two ways in which work fails. The command line maps them to exit codes (contracts: 2 and 1).

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tide {

/// The user's input is wrong: one line that says what, where (file, key, byte offset), and what was
/// expected. Exit code 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The input was fine and the work failed (a full disk, a system call). Exit code 1.
class WorkError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws InputError with a formatted message: `fail_input("open {}: {}", path, reason)`.
template <typename... Args>
[[noreturn]] void fail_input(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws WorkError with a formatted message.
template <typename... Args>
[[noreturn]] void fail_work(fmt::format_string<Args...> format, Args&&... args) {
  throw WorkError(fmt::format(format, std::forward<Args>(args)...));
}

/// Aborts with the broken expression: a defect of ours, never of the user's input.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace tide

#define TIDE_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::tide::assertion_failed(#expression, __FILE__, __LINE__))
