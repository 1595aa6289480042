#include "record/dataset.h"

#include <hdf5_hl.h>

#include <numeric>

namespace tide::record {

namespace {

constexpr unsigned kLevel = 1;

h5::Handle creation_properties(const DatasetSpec& spec, const std::string& file) {
  h5::Handle properties(h5::work(H5Pcreate(H5P_DATASET_CREATE), "create", file));
  H5Pset_obj_track_times(properties.get(), false);  // the same run gives the same bytes
  if (!spec.chunk.empty()) {
    h5::work(H5Pset_chunk(properties.get(), static_cast<int>(spec.chunk.size()), spec.chunk.data()), "create",
             file);
  }
  if (spec.compress) {
    h5::work(H5Pset_shuffle(properties.get()), "create", file);
    h5::work(H5Pset_deflate(properties.get(), kLevel), "create", file);
  }
  if (spec.fill != nullptr) {
    h5::work(H5Pset_fill_value(properties.get(), spec.fill_type, spec.fill), "create", file);
  }
  return properties;
}

}  // namespace

h5::Handle make_dataset(hid_t root, const DatasetSpec& spec, const std::string& file) {
  std::vector<hsize_t> limit = spec.size;
  for (std::size_t i = 0; i < limit.size(); ++i) {
    if (spec.axes[i].grows) limit[i] = H5S_UNLIMITED;
  }
  const h5::Handle space(h5::work(
      H5Screate_simple(static_cast<int>(spec.size.size()), spec.size.data(), limit.data()), "create", file));
  const h5::Handle properties = creation_properties(spec, file);
  h5::Handle dataset(h5::work(
      H5Dcreate2(root, spec.path.c_str(), spec.type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
      "create", file));
  h5::write_attribute(dataset.get(), "units", std::string(spec.units), file);
  h5::write_attribute(dataset.get(), "description", std::string(spec.description), file);
  for (unsigned i = 0; i < spec.axes.size(); ++i) {
    if (spec.axes[i].label != nullptr) {
      h5::work(H5DSset_label(dataset.get(), i, spec.axes[i].label), "create", file);
    }
    if (spec.axes[i].scale >= 0) {
      h5::work(H5DSattach_scale(dataset.get(), spec.axes[i].scale, i), "create", file);
    }
  }
  return dataset;
}

h5::Handle make_group(hid_t root, const std::string& path, const std::string& file) {
  return h5::Handle(
      h5::work(H5Gcreate2(root, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), "create", file));
}

void make_scale(hid_t dataset, const char* name, const std::string& file) {
  h5::work(H5DSset_scale(dataset, name), "create", file);
}

void append_rows(hid_t dataset, std::int64_t first, std::int64_t n, hid_t type, const void* rows,
                 const std::string& file) {
  if (n == 0) return;
  std::vector<hsize_t> size = h5::extents(dataset);
  size[0] = static_cast<hsize_t>(first + n);
  resize(dataset, size, file);
  std::vector<hsize_t> begin(size.size(), 0), count = size;
  begin[0] = static_cast<hsize_t>(first);
  count[0] = static_cast<hsize_t>(n);
  const h5::Handle target(h5::work(H5Dget_space(dataset), "write", file));
  h5::work(H5Sselect_hyperslab(target.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr),
           "write", file);
  const h5::Handle memory(
      h5::work(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), "write", file));
  h5::work(H5Dwrite(dataset, type, memory.get(), target.get(), H5P_DEFAULT, rows), "write", file);
}

void append_counting(hid_t dataset, std::int64_t first, std::int64_t n, const std::string& file) {
  if (n <= 0) return;
  std::vector<std::int64_t> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  append_rows(dataset, first, n, H5T_NATIVE_INT64, values.data(), file);
}

void resize(hid_t dataset, const std::vector<hsize_t>& size, const std::string& file) {
  h5::work(H5Dset_extent(dataset, size.data()), "write", file);
}

}  // namespace tide::record
