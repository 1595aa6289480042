#pragma once
// NumPy's .npy header (format 1.0 and later) and the .npz archive (zip, stored or deflated).

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tide::record {

/// What stands before an array's bytes.
struct NpyHeader {
  std::string descr;  ///< "<f4"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t header_bytes = 0;  ///< length of magic, version and header
};

/// The header's bytes, padded so that the array begins at a multiple of 64.
std::string npy_header(const std::string& descr, const std::vector<std::int64_t>& shape);

/// Parses the beginning of a .npy. Throws InputError naming `where`.
NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, const std::string& where);

/// One member of an archive: where its bytes lie.
struct ZipMember {
  std::string name;
  int method = 0;  ///< 0 stored, 8 deflated
  std::uint32_t crc = 0;
  std::uint64_t packed_bytes = 0, bytes = 0;
  std::uint64_t header_offset = 0;
};

/// The members of a zip archive held in memory. Throws InputError naming `where` and the offset.
std::vector<ZipMember> zip_members(std::span<const std::uint8_t> archive, const std::string& where);

/// A member's bytes, unpacked, its checksum compared. Throws InputError.
std::vector<std::uint8_t> zip_unpack(std::span<const std::uint8_t> archive, const ZipMember& member,
                                     const std::string& where);

/// Writes an archive of stored members (zip64), one after the other, to an open file.
class ZipWriter {
 public:
  explicit ZipWriter(std::FILE* file, std::string file_name)
      : file_(file), file_name_(std::move(file_name)) {}

  /// Begins a member of exactly `bytes` bytes, to be given by `write`.
  void begin(const std::string& name, std::uint64_t bytes);
  void write(std::span<const std::uint8_t> bytes);
  /// Writes the directory. Throws WorkError, as the others do, when the disk is full.
  void finish();

 private:
  void put(const std::string& bytes);
  void end_member();

  std::FILE* file_;
  std::string file_name_;
  std::vector<ZipMember> members_;
};

}  // namespace tide::record
