#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace tide {

namespace {

enum class Taken { ours, others, no_locks };

/// Throws WorkError.
Taken take(int file, const std::filesystem::path& path) {
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return Taken::others;
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) return Taken::no_locks;
    fail_work("lock {}: {}", path.string(), std::strerror(errno));
  }
  return Taken::ours;
}

std::string this_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

/// The file's first line: who holds it.
std::string line_of(int file) {
  std::array<char, 512> text{};
  const ssize_t n = ::pread(file, text.data(), text.size() - 1, 0);
  const std::string line(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  return line.substr(0, line.find('\n'));
}

std::string told(const std::string& line) { return line.empty() ? "another process" : line; }

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
  const auto path = folder / kName;
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) fail_work("open {}: {}", path.string(), std::strerror(errno));
  try {
    const Taken taken = take(file_, path);
    if (taken == Taken::others)
      fail_input("{}: another run is writing it ({})", folder.string(), told(line_of(file_)));
    holds_ = taken == Taken::ours;
    const std::string line = this_process() + "\n";
    // For people alone: what holds the folder is the lock, whatever stands in the file.
    if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, line.data(), line.size(), 0) < 0)
      fail_work("write {}: {}", path.string(), std::strerror(errno));
  } catch (...) {
    ::close(file_);
    throw;
  }
}

FolderLock::~FolderLock() { ::close(file_); }

std::optional<std::string> FolderLock::holder(const std::filesystem::path& folder) {
  const auto path = folder / kName;
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return std::nullopt;  // never locked, or not ours to write
  std::optional<std::string> holder;
  if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) holder = told(line_of(file));
  ::close(file);
  return holder;
}

}  // namespace tide
