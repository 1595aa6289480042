#pragma once
// Another program, run to its end.

#include <string>
#include <vector>

namespace tide {

struct CommandResult {
  int status = 0;  ///< exit status; 127: there is no such program; 128 + n: ended by signal n
  std::string out, err;
};

/// Runs `command` (found along PATH) with nothing on its input, and waits for it. It is not reached by
/// signals that a terminal sends to this process. Throws WorkError: no pipes, no process.
CommandResult run_command(const std::vector<std::string>& command);

/// Whether PATH leads to a program of this name.
bool is_program(const std::string& name);

}  // namespace tide
