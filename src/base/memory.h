#pragma once
// Sizes of memory: as a user writes them, and what the machine has.

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace tide {

/// `what`'s value as bytes: "8GB", "512 MB" (powers of 1000), "8GiB", "8G", "512M" (powers of 1024, as Slurm
/// writes them), or a plain number. Throws InputError naming `what`.
std::int64_t parse_bytes(std::string_view text, std::string_view what);

/// Bytes that this process holds in memory now, its libraries' pages included.
std::int64_t resident_bytes();

/// Bytes that this process may still take: what the machine has available, and what the limits of its control
/// groups (versions 1 and 2) leave, whichever is less. `system`: the root of the system's own files, another
/// one in tests.
std::int64_t available_bytes(const std::filesystem::path& system = "/");

}  // namespace tide
