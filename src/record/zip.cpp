#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "record/npy.h"

namespace tide::record {

namespace {

// Signatures and sizes of PKWARE's APPNOTE 6.3, sections 4.3.7 to 4.3.16.
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kLocatorBytes = 20,
                      kEnd64Bytes = 56;
constexpr std::uint32_t kIn64 = 0xffffffff;
constexpr std::uint16_t kExtra64 = 1, kVersion64 = 45;
constexpr std::uint64_t kMaxDeflateRatio = 1032;
constexpr std::size_t kMaxComment = 0xffff;
constexpr int kStored = 0, kDeflated = 8;

/// Little-endian numbers at checked offsets.
class Bytes {
 public:
  Bytes(std::span<const std::uint8_t> data, const std::string& where) : data_(data), where_(where) {}

  std::uint64_t number(std::uint64_t offset, int size) const {
    need(offset, static_cast<std::uint64_t>(size));
    std::uint64_t value = 0;
    for (int i = size - 1; i >= 0; --i) value = value << 8 | data_[offset + static_cast<std::uint64_t>(i)];
    return value;
  }
  std::string text(std::uint64_t offset, std::uint64_t size) const {
    need(offset, size);
    return {reinterpret_cast<const char*>(data_.data()) + offset, size};
  }
  void need(std::uint64_t offset, std::uint64_t size) const {
    if (offset > data_.size() || size > data_.size() - offset) {
      fail_input("read {}: {} bytes at offset {} leave the archive's {} bytes", where_, size, offset,
                 data_.size());
    }
  }
  std::span<const std::uint8_t> all() const { return data_; }
  const std::string& where() const { return where_; }

 private:
  std::span<const std::uint8_t> data_;
  const std::string& where_;
};

std::uint64_t find_end(const Bytes& bytes) {
  const std::size_t size = bytes.all().size();
  const std::size_t least = size > kEndBytes + kMaxComment ? size - kEndBytes - kMaxComment : 0;
  for (std::size_t at = size; at >= least + kEndBytes; --at) {
    if (bytes.number(at - kEndBytes, 4) == kEnd) return at - kEndBytes;
  }
  fail_input("read {}: not a zip archive (no end of directory in {} bytes)", bytes.where(), size);
}

/// Replaces the fields that are 0xffffffff with those of the zip64 extra field.
void read_extra64(const Bytes& bytes, std::uint64_t extra, std::uint64_t extra_bytes, ZipMember& member) {
  for (std::uint64_t at = extra; at + 4 <= extra + extra_bytes;) {
    const std::uint64_t id = bytes.number(at, 2), size = bytes.number(at + 2, 2);
    std::uint64_t field = at + 4;
    if (id == kExtra64) {
      for (std::uint64_t* value : {&member.bytes, &member.packed_bytes, &member.header_offset}) {
        if (*value != kIn64) continue;
        if (field + 8 > at + 4 + size)
          fail_input("read {}: zip64 field at offset {} is short", bytes.where(), at);
        *value = bytes.number(field, 8);
        field += 8;
      }
    }
    at += 4 + size;
  }
}

struct Directory {
  std::uint64_t offset, count;
};

Directory find_directory(const Bytes& bytes) {
  const std::uint64_t end = find_end(bytes);
  Directory directory{bytes.number(end + 16, 4), bytes.number(end + 10, 2)};
  if (end < kLocatorBytes || bytes.number(end - kLocatorBytes, 4) != kLocator64) return directory;
  const std::uint64_t end64 = bytes.number(end - kLocatorBytes + 8, 8);
  if (bytes.number(end64, 4) != kEnd64) {
    fail_input("read {}: no zip64 end of directory at offset {}", bytes.where(), end64);
  }
  return {bytes.number(end64 + 48, 8), bytes.number(end64 + 32, 8)};
}

}  // namespace

std::vector<ZipMember> zip_members(std::span<const std::uint8_t> archive, const std::string& where) {
  const Bytes bytes(archive, where);
  const Directory directory = find_directory(bytes);
  if (directory.count > archive.size() / kCentralBytes) {
    fail_input("read {}: a directory of {} members in {} bytes", where, directory.count, archive.size());
  }
  std::vector<ZipMember> members;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (bytes.number(at, 4) != kCentral) fail_input("read {}: no directory entry at offset {}", where, at);
    const std::uint64_t flags = bytes.number(at + 8, 2), name_bytes = bytes.number(at + 28, 2);
    const std::uint64_t extra_bytes = bytes.number(at + 30, 2), comment_bytes = bytes.number(at + 32, 2);
    ZipMember member;
    member.method = static_cast<int>(bytes.number(at + 10, 2));
    member.crc = static_cast<std::uint32_t>(bytes.number(at + 16, 4));
    member.packed_bytes = bytes.number(at + 20, 4);
    member.bytes = bytes.number(at + 24, 4);
    member.header_offset = bytes.number(at + 42, 4);
    member.name = bytes.text(at + kCentralBytes, name_bytes);
    read_extra64(bytes, at + kCentralBytes + name_bytes, extra_bytes, member);
    if ((flags & 1) != 0) fail_input("read {}: {} is encrypted", where, member.name);
    if (member.method != kStored && member.method != kDeflated) {
      fail_input("read {}: {}: compression method {}, expected stored or deflated", where, member.name,
                 member.method);
    }
    members.push_back(std::move(member));
    at += kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  }
  return members;
}

std::vector<std::uint8_t> zip_unpack(std::span<const std::uint8_t> archive, const ZipMember& member,
                                     const std::string& where) {
  const Bytes bytes(archive, where);
  if (bytes.number(member.header_offset, 4) != kLocal) {
    fail_input("read {}: {}: no local header at offset {}", where, member.name, member.header_offset);
  }
  const std::uint64_t begin = member.header_offset + kLocalBytes +
                              bytes.number(member.header_offset + 26, 2) +
                              bytes.number(member.header_offset + 28, 2);
  bytes.need(begin, member.packed_bytes);
  const auto packed = archive.subspan(begin, member.packed_bytes);
  const bool stored = member.method == kStored;
  if (stored ? member.bytes != member.packed_bytes : member.bytes / kMaxDeflateRatio > member.packed_bytes) {
    fail_input("read {}: {}: {} bytes claimed from {} packed", where, member.name, member.bytes,
               member.packed_bytes);
  }
  std::vector<std::uint8_t> out(member.bytes);
  if (stored) {
    std::copy(packed.begin(), packed.end(), out.begin());
  } else {
    const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decompressor(
        libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    TIDE_ASSERT(decompressor != nullptr);
    if (libdeflate_deflate_decompress(decompressor.get(), packed.data(), packed.size(), out.data(),
                                      out.size(), nullptr) != LIBDEFLATE_SUCCESS) {
      fail_input("read {}: {}: its deflate stream at offset {} is damaged", where, member.name, begin);
    }
  }
  const std::uint32_t crc = libdeflate_crc32(0, out.data(), out.size());
  if (crc != member.crc) {
    fail_input("read {}: {}: checksum {:08x}, expected {:08x}", where, member.name, crc, member.crc);
  }
  return out;
}

namespace {

std::string little(std::uint64_t value, int size) {
  std::string text;
  for (int i = 0; i < size; ++i, value >>= 8) text += static_cast<char>(value & 0xff);
  return text;
}

/// The fields that local header and directory entry share, from "version needed" to the extra field's length.
std::string shared_fields(const ZipMember& member, std::size_t extra_bytes) {
  constexpr std::uint64_t kDate = 33;  // 1980-01-01, so that the same data give the same bytes
  return little(kVersion64, 2) + little(0, 2) + little(kStored, 2) + little(0, 2) + little(kDate, 2) +
         little(member.crc, 4) + little(kIn64, 4) + little(kIn64, 4) + little(member.name.size(), 2) +
         little(extra_bytes, 2);
}

}  // namespace

void ZipWriter::put(const std::string& bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
    fail_work("write {}: {}", file_name_, std::strerror(errno));
  }
}

void ZipWriter::begin(const std::string& name, std::uint64_t bytes) {
  if (!members_.empty()) end_member();
  ZipMember member;
  member.name = name;
  member.bytes = member.packed_bytes = bytes;
  member.header_offset = static_cast<std::uint64_t>(::ftello(file_));
  members_.push_back(member);
  put(little(kLocal, 4) + shared_fields(member, 20) + name + little(kExtra64, 2) + little(16, 2) +
      little(bytes, 8) + little(bytes, 8));
}

void ZipWriter::write(std::span<const std::uint8_t> bytes) {
  members_.back().crc = libdeflate_crc32(members_.back().crc, bytes.data(), bytes.size());
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
    fail_work("write {}: {}", file_name_, std::strerror(errno));
  }
}

void ZipWriter::end_member() {
  // The checksum is known only now; its place is in the local header.
  constexpr int kCrcOffset = 14;
  const auto end = ::ftello(file_);
  if (::fseeko(file_, static_cast<off_t>(members_.back().header_offset) + kCrcOffset, SEEK_SET) != 0) {
    fail_work("seek {}: {}", file_name_, std::strerror(errno));
  }
  put(little(members_.back().crc, 4));
  if (::fseeko(file_, end, SEEK_SET) != 0) fail_work("seek {}: {}", file_name_, std::strerror(errno));
}

void ZipWriter::finish() {
  if (!members_.empty()) end_member();
  const auto begin = static_cast<std::uint64_t>(::ftello(file_));
  for (const ZipMember& member : members_) {
    put(little(kCentral, 4) + little(kVersion64, 2) + shared_fields(member, 28) + little(0, 2 + 2 + 2 + 4) +
        little(kIn64, 4) + member.name + little(kExtra64, 2) + little(24, 2) + little(member.bytes, 8) +
        little(member.packed_bytes, 8) + little(member.header_offset, 8));
  }
  const auto end = static_cast<std::uint64_t>(::ftello(file_));
  const std::uint64_t count = members_.size();
  put(little(kEnd64, 4) + little(kEnd64Bytes - 12, 8) + little(kVersion64, 2) + little(kVersion64, 2) +
      little(0, 8) + little(count, 8) + little(count, 8) + little(end - begin, 8) + little(begin, 8));
  put(little(kLocator64, 4) + little(0, 4) + little(end, 8) + little(1, 4));
  const std::uint64_t count16 = std::min<std::uint64_t>(count, 0xffff);
  put(little(kEnd, 4) + little(0, 4) + little(count16, 2) + little(count16, 2) + little(kIn64, 4) +
      little(kIn64, 4) + little(0, 2));
}

}  // namespace tide::record
