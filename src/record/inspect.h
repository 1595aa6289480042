#pragma once
// What a recording holds, and whether it keeps what contracts.md section 4 promises.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace tide {

/// One dataset as it is stored.
struct DatasetFacts {
  std::string path, type, units, description;
  std::vector<std::int64_t> shape;
  std::uint64_t stored_bytes = 0;
};

/// One promise, kept or not.
struct SoundnessCheck {
  std::string what;
  std::string problem;  ///< the first violation, with its place; empty: none
};

struct Inspection {
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<DatasetFacts> datasets;
  std::vector<SoundnessCheck> checks;
  /// Of layers whose method keeps sets from step to step: the share of its steps that reused them.
  std::vector<std::pair<int, double>> reuse_rate;
  std::uint64_t file_bytes = 0;
  std::int64_t steps = 0;
  bool complete = false;

  /// Every check passed.
  bool sound() const;
  /// The first problem in one line; empty when sound.
  std::string verdict() const;
};

/// Reads every value of a recording once. Throws InputError, one line, when the file is missing,
/// truncated, or no recording; a dataset that cannot be read is a failed check.
Inspection inspect_recording(const std::filesystem::path& path);

/// Whether the file begins as an HDF5 file does. Throws InputError when it is missing.
bool looks_like_hdf5(const std::filesystem::path& path);

}  // namespace tide
