// The one place that starts a child process for its text.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "task/text_source.h"

extern char** environ;

namespace tide {

namespace {

/// Standard output of a program. Returns an errno value when it cannot be started.
int output_of(std::array<const char*, 4> arguments, std::string& output, int& status) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_work("pipe: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, arguments[0], &actions, nullptr,
                                    const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char buffer[65536];
  for (ssize_t n = 0; failed == 0 && (n = ::read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (n > 0)
      output.append(buffer, static_cast<std::size_t>(n));
    else if (errno != EINTR)
      break;
  }
  ::close(ends[0]);
  while (failed == 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return failed;
}

}  // namespace

std::string king_james_text() {
  std::string lines;
  int status = 0;
  const int failed = output_of({"bible", "-f", "gen1:1-rev22:21", nullptr}, lines, status);
  if (failed != 0) {
    fail_input(
        "text: cannot run 'bible' ({}): install Debian's package bible-kjv-text, or name a text file "
        "(text=FILE)",
        std::strerror(failed));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || lines.empty()) {
    fail_work(
        "text: 'bible -f gen1:1-rev22:21' gave no text (status {}): reinstall Debian's package "
        "bible-kjv-text",
        status);
  }
  return strip_verse_labels(lines);
}

}  // namespace tide
