#include "model/lfs_pointer.h"

#include "base/error.h"

namespace tide {

void refuse_lfs_pointer(std::string_view bytes, const std::string& file) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/")) {
    fail_input("{}: a Git LFS pointer of {} bytes, not the file itself; fetch it with `git lfs pull`", file,
               bytes.size());
  }
}

}  // namespace tide
