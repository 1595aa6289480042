#pragma once
// tidegauge inspect MODEL: what a checkpoint is, whether it loads, and what it takes.

#include <filesystem>

namespace tide::cli {

/// Throws InputError, after everything was printed, when the checkpoint would not load.
void inspect_model(const std::filesystem::path& path, bool json);

}  // namespace tide::cli
