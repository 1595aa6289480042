#pragma once
// Inside the record room only: handles that close themselves, error texts, types and attributes of the
// HDF5 C API. HDF5's own printing of errors is off; every failure becomes one line of ours.

#include <hdf5.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tide::h5 {

/// An HDF5 identifier of any kind, released with its owner.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  hid_t get() const { return id_; }
  /// Gives the identifier up to the caller.
  hid_t release() { return std::exchange(id_, -1); }
  explicit operator bool() const { return id_ >= 0; }
  void reset() {
    if (id_ >= 0) H5Idec_ref(id_);
    id_ = -1;
  }

 private:
  hid_t id_ = -1;
};

/// Turns HDF5's printing off for the calling thread (the setting is one a thread) and, the first time,
/// its exit handler: a file that could not be closed because the disk is full must not be closed again
/// at exit. Call it before any other HDF5 function. Throws WorkError for a library without thread safety.
void prepare_thread();

/// Why the last call failed, in one line: the system's reason where there is one ("No space left on
/// device"), else HDF5's innermost message.
std::string last_error();

/// Passes a good result on; throws WorkError "VERB FILE: reason".
template <typename Status>
Status work(Status status, const char* verb, const std::string& file) {
  if (status < 0) fail_work("{} {}: {}", verb, file, last_error());
  return status;
}

/// Passes a good result on; throws InputError "read FILE: WHERE: reason".
template <typename Status>
Status input(Status status, const std::string& file, const std::string& where) {
  if (status < 0) fail_input("read {}: {}: {}", file, where, last_error());
  return status;
}

/// IEEE binary16, little endian: what h5py reads as '<f2'.
Handle half_type();
/// Variable-length UTF-8 text: what h5py reads as str.
Handle text_type();

/// The memory type of a C++ element type.
template <typename T>
hid_t native_type();
template <>
inline hid_t native_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
inline hid_t native_type<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
inline hid_t native_type<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
inline hid_t native_type<std::uint64_t>() {
  return H5T_NATIVE_UINT64;
}
template <>
inline hid_t native_type<float>() {
  return H5T_NATIVE_FLOAT;
}

/// Writes or replaces a scalar text attribute. Throws WorkError naming `file`.
void write_attribute(hid_t object, const char* name, const std::string& value, const std::string& file);
/// Writes or replaces a scalar integer attribute.
void write_attribute(hid_t object, const char* name, std::int64_t value, const std::string& file);
void write_attribute(hid_t object, const char* name, std::uint64_t value, const std::string& file);
/// Writes a one-dimensional attribute of texts.
void write_attribute(hid_t object, const char* name, const std::vector<std::string>& values,
                     const std::string& file);

/// Reads a scalar attribute. Throws InputError naming `file` and the attribute when it is missing or of
/// another type.
std::string read_text_attribute(hid_t object, const char* name, const std::string& file);
std::int64_t read_int_attribute(hid_t object, const char* name, const std::string& file);
std::uint64_t read_uint_attribute(hid_t object, const char* name, const std::string& file);

/// Extents of a dataset.
std::vector<hsize_t> extents(hid_t dataset);

/// Whether every link of a path is there ("/layers/02/prob").
bool has_path(hid_t file, const std::string& path);

/// Opens a file for reading, without a lock on file systems that have none. Throws InputError with one
/// line when it is absent, not HDF5, or truncated.
Handle open_for_reading(const std::string& file);

}  // namespace tide::h5
