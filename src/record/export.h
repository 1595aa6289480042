#pragma once
// Any dataset of a recording (or of another HDF5 file) as a file that other programs read.

#include <filesystem>
#include <string>
#include <vector>

namespace tide {

enum class ExportFormat { csv, npy, npz, json };

/// The format of a name ("csv", "npy", "npz", "json"). Throws InputError.
ExportFormat export_format(const std::string& name);

/// Writes datasets (paths such as "/layers/02/prob") of `recording` to `out`, atomically. npz takes several,
/// named by their paths without the leading slash; the others take one. csv: one line a value, a column
/// an axis. Throws InputError when a path is missing, no dataset, or of a type that is neither number nor
/// text; WorkError when writing fails.
void export_datasets(const std::filesystem::path& recording, const std::vector<std::string>& paths,
                     ExportFormat format, const std::filesystem::path& out);

}  // namespace tide
