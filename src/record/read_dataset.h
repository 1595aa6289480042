#pragma once
// Inside the record room only: datasets of a file that is not trusted.

#include <cstdint>
#include <string>
#include <vector>

#include "record/h5.h"

namespace tide::record {

/// An open dataset with what was checked of it.
struct OpenDataset {
  h5::Handle id;
  std::vector<hsize_t> size;
  std::string path;
};

/// Element types that a recording has.
enum class Element { u8, i8, i32, i64, u64, f16, f32, text };

/// Opens a dataset and checks its rank and element type. `size`: the extents expected, -1: any.
/// `cache_rows`: chunks along dimension 0 are read row by row; keep the chunks of one row in memory.
/// Throws InputError naming file and path.
OpenDataset open_dataset(hid_t file, const std::string& file_name, const std::string& path, Element element,
                         const std::vector<std::int64_t>& size, bool cache_rows = false);

/// Reads the box [begin, begin + count) into memory of the dataset's own element type. Throws InputError
/// when the box leaves the dataset, when it is larger than what the file stores could ever unfold to, or
/// when reading fails.
void read_box(const OpenDataset& dataset, const std::string& file_name, const std::vector<hsize_t>& begin,
              const std::vector<hsize_t>& count, Element element, void* out);

/// The number of elements of a box. Throws InputError when they are more than the dataset's stored bytes
/// could unfold to: a damaged extent must not become an allocation of terabytes.
std::uint64_t checked_elements(const OpenDataset& dataset, const std::string& file_name,
                               const std::vector<hsize_t>& count);

/// Reads texts [begin, begin + count) of a one-dimensional dataset.
std::vector<std::string> read_texts(const OpenDataset& dataset, const std::string& file_name, hsize_t begin,
                                    hsize_t count);

/// Whether a dataset is stored through a filter.
bool is_compressed(hid_t file, const std::string& path);

}  // namespace tide::record
