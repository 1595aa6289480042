#pragma once
// Files that Git LFS has not fetched.

#include <string>
#include <string_view>

namespace tide {

/// Throws InputError naming `file` when its bytes are a Git LFS pointer: a short text that stands in a
/// checkout for a file not downloaded yet.
void refuse_lfs_pointer(std::string_view bytes, const std::string& file);

}  // namespace tide
