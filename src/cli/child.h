#pragma once
// A child process that answers line by line: how peers are driven.

#include <cstdio>
#include <string>
#include <vector>

namespace tide::cli {

/// Runs a program with a pipe to its input and one from its output; ended by the destructor.
class Child {
 public:
  /// Throws WorkError when it cannot be started.
  explicit Child(const std::vector<std::string>& command);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void send(const std::string& line);
  /// The next line of its output. Throws WorkError when it ended instead.
  std::string receive();

 private:
  std::string name_;
  int pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace tide::cli
