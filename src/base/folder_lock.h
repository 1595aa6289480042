#pragma once
// One run at a time writes a folder.

#include <filesystem>
#include <optional>
#include <string>

namespace tide {

/// Holds a folder for this process until it is destroyed, or until the process ends, however it ends: the
/// system lets go of it at kill -9. By flock on the file `.lock` in the folder, which stays there and says
/// who holds it. On NFS the same call excludes other machines too (Linux turns it into a byte-range lock; the
/// lock of fcntl is no different there, and is lost when any descriptor of the file is closed).
class FolderLock {
 public:
  /// The folder must exist. Throws InputError when another run holds it, naming that; WorkError: system
  /// calls.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// False on a file system that knows no locks: nothing keeps a second run out.
  bool holds() const { return holds_; }

  /// Who holds the folder ("process 12 on host"), nothing when it is free.
  static std::optional<std::string> holder(const std::filesystem::path& folder);
  /// The file's name: what is in a folder that holds nothing else yet.
  static constexpr const char* kName = ".lock";

 private:
  int file_ = -1;
  bool holds_ = false;
};

}  // namespace tide
