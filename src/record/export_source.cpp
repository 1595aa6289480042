#include "record/export_source.h"

#include <hdf5_hl.h>

#include <algorithm>
#include <cstring>

#include "base/float16.h"
#include "record/h5.h"

namespace tide::record {

namespace {

constexpr std::uint64_t kSlabBytes = std::uint64_t{16} << 20;

/// Throws InputError when a recording has no such elements.
ExportElement element_of(hid_t type, const std::string& where) {
  const std::size_t size = H5Tget_size(type);
  const bool is_unsigned = H5Tget_sign(type) == H5T_SGN_NONE;
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      if (size == 1 && is_unsigned) return {Element::u8, "|u1", 1};
      if (size == 1) return {Element::i8, "|i1", 1};
      if (size == 4 && !is_unsigned) return {Element::i32, "<i4", 4};
      if (size == 8 && is_unsigned) return {Element::u64, "<u8", 8};
      if (size == 8) return {Element::i64, "<i8", 8};
      break;
    case H5T_FLOAT:
      if (size == 2) return {Element::f16, "<f2", 2};
      if (size == 4) return {Element::f32, "<f4", 4};
      break;
    case H5T_STRING:
      if (H5Tis_variable_str(type) > 0) return {Element::text, "", sizeof(char*)};
      break;
    default:
      break;
  }
  fail_input("export {}: elements of {} bytes, expected numbers or texts of a recording", where, size);
}

std::string label_of(hid_t dataset, unsigned dimension) {
  char text[256] = "";
  const ssize_t length = H5DSget_label(dataset, dimension, text, sizeof text);
  return length > 0 ? std::string(text) : fmt::format("index_{}", dimension);
}

template <typename T>
T value_at(const std::uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

}  // namespace

ExportSource::ExportSource(hid_t file, const std::string& name, const std::string& path) : name_(name) {
  if (path.empty() || path[0] != '/') {
    fail_input("export {}: '{}': expected a path such as /steps/kv_len", name, path);
  }
  if (!h5::has_path(file, path)) fail_input("export {}: {} is missing", name, path);
  const h5::Handle object(h5::input(H5Oopen(file, path.c_str(), H5P_DEFAULT), name, path));
  if (H5Iget_type(object.get()) != H5I_DATASET) {
    fail_input("export {}: {} is a group, expected a dataset", name, path);
  }
  const h5::Handle type(h5::input(H5Dget_type(object.get()), name, path));
  element_ = element_of(type.get(), name + ": " + path);
  const std::vector<std::int64_t> any(h5::extents(object.get()).size(), -1);
  if (any.empty()) fail_input("export {}: {} has no extents", name, path);
  dataset_ = open_dataset(file, name, path, element_.element, any, true);
  for (unsigned i = 0; i < any.size(); ++i) labels_.push_back(label_of(dataset_.id.get(), i));
}

std::uint64_t ExportSource::elements() const { return checked_elements(dataset_, name_, dataset_.size); }

std::string ExportSource::attribute(const char* name) const {
  const hid_t id = dataset_.id.get();
  return H5Aexists(id, name) > 0 ? h5::read_text_attribute(id, name, name_) : "";
}

void ExportSource::slabs(
    const std::function<void(std::uint64_t, const std::vector<std::uint8_t>&)>& take) const {
  if (elements() == 0) return;
  const std::uint64_t row = elements() / dataset_.size[0];
  const hsize_t rows = std::max<std::uint64_t>(1, kSlabBytes / (row * element_.size));
  std::vector<std::uint8_t> bytes;
  for (hsize_t first = 0; first < dataset_.size[0]; first += rows) {
    std::vector<hsize_t> begin(dataset_.size.size(), 0), count = dataset_.size;
    begin[0] = first;
    count[0] = std::min<hsize_t>(rows, dataset_.size[0] - first);
    bytes.resize(count[0] * row * element_.size);
    read_box(dataset_, name_, begin, count, element_.element, bytes.data());
    take(first * row, bytes);
  }
}

std::vector<std::string> ExportSource::texts() const {
  if (dataset_.size.size() != 1) {
    fail_input("export {}: {}: texts of {} dimensions, expected 1", name_, path(), dataset_.size.size());
  }
  return read_texts(dataset_, name_, 0, elements());
}

std::string ExportSource::number(const std::uint8_t* data) const {
  switch (element_.element) {
    case Element::u8:
      return fmt::format("{}", *data);
    case Element::i8:
      return fmt::format("{}", value_at<std::int8_t>(data));
    case Element::i32:
      return fmt::format("{}", value_at<std::int32_t>(data));
    case Element::i64:
      return fmt::format("{}", value_at<std::int64_t>(data));
    case Element::u64:
      return fmt::format("{}", value_at<std::uint64_t>(data));
    case Element::f16:
      return fmt::format("{}", half_to_float(value_at<std::uint16_t>(data)));
    default:
      return fmt::format("{}", value_at<float>(data));
  }
}

}  // namespace tide::record
