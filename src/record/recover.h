#pragma once
// A recording that was cut off, made sound again.

#include <cstdint>
#include <filesystem>

namespace tide {

/// Copies the committed steps of `part` (a `.part` file, or any recording) into a complete recording
/// `out`; returns how many. Throws InputError when the file is no recording or committed nothing,
/// WorkError when writing fails.
std::int64_t recover_recording(const std::filesystem::path& part, const std::filesystem::path& out);

}  // namespace tide
