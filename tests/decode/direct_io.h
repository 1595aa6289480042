#pragma once
// Where the tests of offloading write, and why they may not run.

#include <filesystem>
#include <string>

#include "base/direct_file.h"
#include "base/error.h"

namespace tide::testing {

/// A local disk's folder: the one that the tests run in.
inline const std::filesystem::path kFolder = ".";

/// Empty where blocks of 512 bytes can be read there.
inline std::string why_no_direct_io() {
  try {
    const DirectFile file(kFolder);
    return file.alignment() <= 512 ? ""
                                   : "the disk reads 4096 bytes at a time, the tiny model's blocks are 512";
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace tide::testing
