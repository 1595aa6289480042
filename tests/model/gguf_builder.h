#pragma once
// Small GGUF files made in memory, so that a test can spoil any one field.

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

/// Appends little-endian fields; the caller decides what they mean.
class GgufBytes {
 public:
  template <typename T>
  GgufBytes& put(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes.append(raw, sizeof(T));
    return *this;
  }
  GgufBytes& u32(std::uint64_t value) { return put(static_cast<std::uint32_t>(value)); }
  GgufBytes& u64(std::uint64_t value) { return put(value); }
  GgufBytes& str(std::string_view text) {
    u64(text.size());
    bytes += text;
    return *this;
  }
  GgufBytes& raw(std::string_view text) {
    bytes += text;
    return *this;
  }
  GgufBytes& pad(std::size_t alignment) {
    while (bytes.size() % alignment != 0) bytes += '\0';
    return *this;
  }

  GgufBytes& header(std::uint64_t n_tensors, std::uint64_t n_metadata, std::uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(n_tensors).u64(n_metadata);
  }
  /// A tensor's entry; `dims` innermost first, as in the file.
  GgufBytes& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims, std::uint32_t type,
                    std::uint64_t offset) {
    str(name).u32(dims.size());
    for (const std::uint64_t dim : dims) u64(dim);
    return u32(type).u64(offset);
  }
  GgufBytes& meta_u32(std::string_view key, std::uint32_t value) { return str(key).u32(4).u32(value); }
  GgufBytes& meta_str(std::string_view key, std::string_view value) { return str(key).u32(8).str(value); }

  std::string bytes;
};

/// A file of the given bytes that goes away with its object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view bytes) {
    static std::atomic<int> count = 0;
    path_ = std::filesystem::temp_directory_path() / fmt::format("tide_test_{}_{}.gguf", ::getpid(), count++);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// What `work` throws as InputError; empty when it throws nothing.
template <typename Error, typename Work>
std::string message_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace tide
