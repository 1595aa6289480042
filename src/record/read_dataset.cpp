#include "record/read_dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace tide::record {

namespace {

constexpr std::uint64_t kDeflateMaxRatio = 1032;
constexpr std::uint64_t kSmallBytes = std::uint64_t{1} << 20;  // never questioned
constexpr std::size_t kMaxRowCache = std::size_t{256} << 20;
constexpr std::size_t kCacheSlots = 1009;

struct ElementTraits {
  const char* name;
  H5T_class_t kind;
  std::size_t size;
  bool is_signed;
};

ElementTraits traits(Element element) {
  switch (element) {
    case Element::u8:
      return {"uint8", H5T_INTEGER, 1, false};
    case Element::i8:
      return {"int8", H5T_INTEGER, 1, true};
    case Element::i32:
      return {"int32", H5T_INTEGER, 4, true};
    case Element::i64:
      return {"int64", H5T_INTEGER, 8, true};
    case Element::u64:
      return {"uint64", H5T_INTEGER, 8, false};
    case Element::f16:
      return {"float16", H5T_FLOAT, 2, true};
    case Element::f32:
      return {"float32", H5T_FLOAT, 4, true};
    case Element::text:
      return {"text", H5T_STRING, 0, false};
  }
  return {"", H5T_NO_CLASS, 0, false};
}

h5::Handle memory_type(Element element) {
  switch (element) {
    case Element::u8:
      return h5::Handle(H5Tcopy(H5T_NATIVE_UINT8));
    case Element::i8:
      return h5::Handle(H5Tcopy(H5T_NATIVE_INT8));
    case Element::i32:
      return h5::Handle(H5Tcopy(H5T_NATIVE_INT32));
    case Element::i64:
      return h5::Handle(H5Tcopy(H5T_NATIVE_INT64));
    case Element::u64:
      return h5::Handle(H5Tcopy(H5T_NATIVE_UINT64));
    case Element::f16:
      return h5::half_type();
    case Element::f32:
      return h5::Handle(H5Tcopy(H5T_NATIVE_FLOAT));
    case Element::text:
      return h5::text_type();
  }
  return {};
}

void check_type(hid_t dataset, const std::string& file_name, const std::string& path, Element element) {
  const ElementTraits expected = traits(element);
  const h5::Handle type(h5::input(H5Dget_type(dataset), file_name, path));
  bool same = H5Tget_class(type.get()) == expected.kind;
  if (same && expected.kind == H5T_STRING) {
    same = H5Tis_variable_str(type.get()) > 0;
  } else if (same) {
    same = H5Tget_size(type.get()) == expected.size;
    if (expected.kind == H5T_INTEGER)
      same = same && (H5Tget_sign(type.get()) == H5T_SGN_2) == expected.is_signed;
    if (element == Element::f16) same = same && H5Tequal(type.get(), h5::half_type().get()) > 0;
  }
  if (!same) fail_input("read {}: {}: expected elements of type {}", file_name, path, expected.name);
}

void check_size(const OpenDataset& dataset, const std::string& file_name,
                const std::vector<std::int64_t>& size) {
  bool same = dataset.size.size() == size.size();
  for (std::size_t i = 0; same && i < size.size(); ++i) {
    same = size[i] < 0 || dataset.size[i] == static_cast<hsize_t>(size[i]);
  }
  if (same) return;
  std::vector<std::string> expected;
  for (const std::int64_t extent : size) expected.push_back(extent < 0 ? "any" : std::to_string(extent));
  fail_input("read {}: {}: shape is [{}], expected [{}]", file_name, dataset.path,
             fmt::join(dataset.size, ", "), fmt::join(expected, ", "));
}

/// Bytes of the chunks that one row of dimension 0 lies in; 0: not chunked.
std::size_t row_chunk_bytes(hid_t dataset, const std::vector<hsize_t>& size) {
  const h5::Handle properties(H5Dget_create_plist(dataset));
  if (H5Pget_layout(properties.get()) != H5D_CHUNKED) return 0;
  std::vector<hsize_t> chunk(size.size());
  H5Pget_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  const h5::Handle type(H5Dget_type(dataset));
  std::size_t bytes = H5Tget_size(type.get()) * chunk[0];
  for (std::size_t i = 1; i < size.size(); ++i) bytes *= (size[i] + chunk[i] - 1) / chunk[i] * chunk[i];
  return bytes;
}

}  // namespace

OpenDataset open_dataset(hid_t file, const std::string& file_name, const std::string& path, Element element,
                         const std::vector<std::int64_t>& size, bool cache_rows) {
  h5::prepare_thread();
  if (!h5::has_path(file, path)) fail_input("read {}: {} is missing", file_name, path);
  OpenDataset dataset{
      h5::Handle(h5::input(H5Dopen2(file, path.c_str(), H5P_DEFAULT), file_name, path)), {}, path};
  dataset.size = h5::extents(dataset.id.get());
  check_size(dataset, file_name, size);
  check_type(dataset.id.get(), file_name, path, element);
  const std::size_t row_bytes = cache_rows ? row_chunk_bytes(dataset.id.get(), dataset.size) : 0;
  if (row_bytes > 0) {
    const h5::Handle access(H5Pcreate(H5P_DATASET_ACCESS));
    H5Pset_chunk_cache(access.get(), kCacheSlots, std::min(row_bytes, kMaxRowCache),
                       H5D_CHUNK_CACHE_W0_DEFAULT);
    dataset.id.reset();  // HDF5 keeps the first opener's cache
    dataset.id = h5::Handle(h5::input(H5Dopen2(file, path.c_str(), access.get()), file_name, path));
  }
  return dataset;
}

std::uint64_t checked_elements(const OpenDataset& dataset, const std::string& file_name,
                               const std::vector<hsize_t>& count) {
  const h5::Handle type(H5Dget_type(dataset.id.get()));
  const std::uint64_t element_size = std::max<std::uint64_t>(H5Tget_size(type.get()), 1);
  const std::uint64_t stored = H5Dget_storage_size(dataset.id.get());
  const std::uint64_t limit = std::max(stored * kDeflateMaxRatio, kSmallBytes) / element_size;
  std::uint64_t elements = 1;
  for (const hsize_t extent : count) {
    if (__builtin_mul_overflow(elements, extent, &elements) || elements > limit) {
      fail_input("read {}: {}: [{}] elements claimed, which the {} bytes stored cannot hold", file_name,
                 dataset.path, fmt::join(count, ", "), stored);
    }
  }
  return elements;
}

void read_box(const OpenDataset& dataset, const std::string& file_name, const std::vector<hsize_t>& begin,
              const std::vector<hsize_t>& count, Element element, void* out) {
  h5::prepare_thread();
  for (std::size_t i = 0; i < begin.size(); ++i) {
    if (begin[i] > dataset.size[i] || count[i] > dataset.size[i] - begin[i]) {
      fail_input("read {}: {}: holds {} along dimension {}, expected at least {}", file_name, dataset.path,
                 dataset.size[i], i, begin[i] + count[i]);
    }
    if (count[i] == 0) return;
  }
  const h5::Handle source(h5::input(H5Dget_space(dataset.id.get()), file_name, dataset.path));
  h5::input(H5Sselect_hyperslab(source.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr),
            file_name, dataset.path);
  const h5::Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr));
  const h5::Handle type = memory_type(element);
  h5::input(H5Dread(dataset.id.get(), type.get(), memory.get(), source.get(), H5P_DEFAULT, out), file_name,
            dataset.path);
}

std::vector<std::string> read_texts(const OpenDataset& dataset, const std::string& file_name, hsize_t begin,
                                    hsize_t count) {
  std::vector<char*> pointers(count, nullptr);
  read_box(dataset, file_name, {begin}, {count}, Element::text, pointers.data());
  std::vector<std::string> texts;
  texts.reserve(count);
  for (const char* text : pointers) texts.emplace_back(text != nullptr ? text : "");
  if (count == 0) return texts;
  const h5::Handle type = h5::text_type();
  const h5::Handle space(H5Screate_simple(1, &count, nullptr));
  H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, pointers.data());
  return texts;
}

bool is_compressed(hid_t file, const std::string& path) {
  const h5::Handle dataset(H5Dopen2(file, path.c_str(), H5P_DEFAULT));
  const h5::Handle properties(H5Dget_create_plist(dataset.get()));
  return H5Pget_nfilters(properties.get()) > 0;
}

}  // namespace tide::record
