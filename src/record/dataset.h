#pragma once
// Inside the record room only: making datasets with their scales and descriptions, and appending rows.

#include <cstdint>
#include <string>
#include <vector>

#include "record/h5.h"

namespace tide::record {

/// One axis of a dataset: its label, and the dimension scale that names its values (-1: none).
struct Axis {
  const char* label;
  hid_t scale = -1;
  bool grows = false;
};

/// What a new dataset is.
struct DatasetSpec {
  std::string path;
  hid_t type;                  ///< in the file
  std::vector<hsize_t> size;   ///< extents at first
  std::vector<hsize_t> chunk;  ///< empty: contiguous, does not grow
  std::vector<Axis> axes;
  const char* units;
  const char* description;
  hid_t fill_type = -1;  ///< memory type of `fill`; -1: zero
  const void* fill = nullptr;
  bool compress = false;  ///< shuffle + deflate
};

/// Creates a dataset with `units`, `description`, labels and scales. Throws WorkError naming `file`.
h5::Handle make_dataset(hid_t root, const DatasetSpec& spec, const std::string& file);

/// Creates a group (not its parents).
h5::Handle make_group(hid_t root, const std::string& path, const std::string& file);

/// Makes a dataset a dimension scale of that name.
void make_scale(hid_t dataset, const char* name, const std::string& file);

/// Grows dimension 0 to first + n and writes n rows of memory type `type` there.
void append_rows(hid_t dataset, std::int64_t first, std::int64_t n, hid_t type, const void* rows,
                 const std::string& file);

/// The values 0 .. n-1 appended from `first` on.
void append_counting(hid_t dataset, std::int64_t first, std::int64_t n, const std::string& file);

/// Sets the extents of a dataset.
void resize(hid_t dataset, const std::vector<hsize_t>& size, const std::string& file);

}  // namespace tide::record
