#include "record/h5.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

namespace tide::h5 {

namespace {

constexpr std::size_t kMaxAttributeBytes = std::size_t{1} << 26;

/// Keeps the innermost message of HDF5's error stack, and the first that carries the system's reason.
herr_t keep_message(unsigned depth, const H5E_error2_t* error, void* data) {
  (void)depth;
  auto& kept = *static_cast<std::pair<std::string, std::string>*>(data);
  const std::string text = error->desc != nullptr ? error->desc : "";
  if (kept.first.empty()) kept.first = text;
  constexpr const char* kMark = "error message = '";
  const auto begin = text.find(kMark);
  if (kept.second.empty() && begin != std::string::npos) {
    const auto from = begin + std::strlen(kMark);
    kept.second = text.substr(from, text.find('\'', from) - from);
  }
  return 0;
}

Handle scalar_attribute(hid_t object, const char* name, hid_t type, const std::string& file) {
  if (H5Aexists(object, name) > 0) work(H5Adelete(object, name), "write", file);
  const Handle space(work(H5Screate(H5S_SCALAR), "write", file));
  return Handle(work(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), "write", file));
}

template <typename T>
void write_integer(hid_t object, const char* name, T value, const std::string& file) {
  // In place where it is there already: committed_steps changes often and must not move in the file.
  const Handle attribute = H5Aexists(object, name) > 0
                               ? Handle(work(H5Aopen(object, name, H5P_DEFAULT), "write", file))
                               : scalar_attribute(object, name, native_type<T>(), file);
  work(H5Awrite(attribute.get(), native_type<T>(), &value), "write", file);
}

Handle open_attribute(hid_t object, const char* name, const std::string& file) {
  if (H5Aexists(object, name) <= 0) fail_input("read {}: attribute '{}' is missing", file, name);
  return Handle(input(H5Aopen(object, name, H5P_DEFAULT), file, name));
}

template <typename T>
T read_integer(hid_t object, const char* name, const std::string& file) {
  const Handle attribute = open_attribute(object, name, file);
  const Handle type(input(H5Aget_type(attribute.get()), file, name));
  const Handle space(input(H5Aget_space(attribute.get()), file, name));
  if (H5Tget_class(type.get()) != H5T_INTEGER || H5Sget_simple_extent_npoints(space.get()) != 1) {
    fail_input("read {}: attribute '{}': expected one integer", file, name);
  }
  T value = 0;
  input(H5Aread(attribute.get(), native_type<T>(), &value), file, name);
  return value;
}

/// Text of a fixed-length attribute, as other writers store it.
std::string fixed_text(const Handle& attribute, const Handle& type, const char* name,
                       const std::string& file) {
  const std::size_t size = H5Tget_size(type.get());
  if (size > kMaxAttributeBytes) fail_input("read {}: attribute '{}' holds {} bytes", file, name, size);
  std::string text(size, '\0');
  input(H5Aread(attribute.get(), type.get(), text.data()), file, name);
  return text.substr(0, text.find('\0'));
}

}  // namespace

void prepare_thread() {
  static std::once_flag once;
  std::call_once(once, [] {
    H5dont_atexit();
    hbool_t safe = 0;
    if (H5is_library_threadsafe(&safe) < 0 || safe == 0) {
      fail_work("start HDF5: this build of the library is not thread-safe");
    }
  });
  thread_local const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)quiet;
}

std::string last_error() {
  std::pair<std::string, std::string> kept;  // innermost message, system's reason
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_message, &kept);
  if (!kept.second.empty()) return kept.second;
  return kept.first.empty() ? "HDF5 gave no reason" : kept.first;
}

Handle half_type() {
  Handle type(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), 15);
  return type;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

void write_attribute(hid_t object, const char* name, const std::string& value, const std::string& file) {
  const Handle type = text_type();
  const Handle attribute = scalar_attribute(object, name, type.get(), file);
  const char* text = value.c_str();
  work(H5Awrite(attribute.get(), type.get(), &text), "write", file);
}

void write_attribute(hid_t object, const char* name, std::int64_t value, const std::string& file) {
  write_integer(object, name, value, file);
}

void write_attribute(hid_t object, const char* name, std::uint64_t value, const std::string& file) {
  write_integer(object, name, value, file);
}

void write_attribute(hid_t object, const char* name, const std::vector<std::string>& values,
                     const std::string& file) {
  const Handle type = text_type();
  const hsize_t count = values.size();
  const Handle space(work(H5Screate_simple(1, &count, nullptr), "write", file));
  const Handle attribute(
      work(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), "write", file));
  std::vector<const char*> texts;
  for (const auto& value : values) texts.push_back(value.c_str());
  work(H5Awrite(attribute.get(), type.get(), texts.data()), "write", file);
}

std::string read_text_attribute(hid_t object, const char* name, const std::string& file) {
  const Handle attribute = open_attribute(object, name, file);
  const Handle type(input(H5Aget_type(attribute.get()), file, name));
  const Handle space(input(H5Aget_space(attribute.get()), file, name));
  if (H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1) {
    fail_input("read {}: attribute '{}': expected one text", file, name);
  }
  if (H5Tis_variable_str(type.get()) <= 0) return fixed_text(attribute, type, name, file);
  char* text = nullptr;
  input(H5Aread(attribute.get(), type.get(), &text), file, name);
  std::string value = text != nullptr ? text : "";
  H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, &text);
  return value;
}

std::int64_t read_int_attribute(hid_t object, const char* name, const std::string& file) {
  return read_integer<std::int64_t>(object, name, file);
}

std::uint64_t read_uint_attribute(hid_t object, const char* name, const std::string& file) {
  return read_integer<std::uint64_t>(object, name, file);
}

std::vector<hsize_t> extents(hid_t dataset) {
  const Handle space(H5Dget_space(dataset));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> sizes(rank > 0 ? static_cast<std::size_t>(rank) : 0);
  if (rank > 0) H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  return sizes;
}

bool has_path(hid_t file, const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (H5Lexists(file, path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

Handle open_for_reading(const std::string& file) {
  prepare_thread();
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) fail_input("open {}: no such file", file);
  if (!std::filesystem::is_regular_file(status)) fail_input("open {}: not a regular file", file);
  if (::access(file.c_str(), R_OK) != 0) fail_input("open {}: {}", file, std::strerror(errno));
  if (H5Fis_hdf5(file.c_str()) <= 0) {
    fail_input("open {}: not an HDF5 file (signature missing at byte 0), expected a recording", file);
  }
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(access.get(), false, true);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  Handle handle(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!handle) fail_input("open {}: {}; expected a sound HDF5 file", file, last_error());
  return handle;
}

}  // namespace tide::h5
