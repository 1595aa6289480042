#pragma once
// Files: read-only mappings, and publication under a final name only when complete.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tide {

/// A file mapped read-only. Throws InputError when it is absent, not a regular file, or unreadable.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Gives back the whole memory pages within a part of a mapping. They are read from the file again when asked
/// for.
void drop_pages(std::span<const std::byte> part);

/// The whole text of a small file. Throws InputError.
std::string read_text(const std::filesystem::path& path);

/// Writes `path` by way of `path.part`: write, fsync, rename, fsync of the folder. Throws WorkError.
void write_text_atomically(const std::filesystem::path& path, std::string_view text);

/// The name under which a file is written before `publish`.
std::filesystem::path part_path(const std::filesystem::path& path);

/// fsync of `path.part`, rename to `path`, fsync of the folder. Throws WorkError.
void publish(const std::filesystem::path& path);

/// Lower-case hexadecimal SHA-256 of bytes.
std::string sha256_of(std::string_view bytes);

/// Lower-case hexadecimal SHA-256 of a file's bytes. Throws InputError.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace tide
