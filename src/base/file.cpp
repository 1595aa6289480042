#include "base/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"

namespace tide {

namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// A digest that grows.
class Sha256 {
 public:
  Sha256() { check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }
  void add(std::span<const std::byte> bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  /// In lower-case hexadecimal; nothing can be added afterwards.
  std::string text() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned int length = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  static void check(bool done) {
    if (!done) fail_work("sha256: the digest failed");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

void sync_path(const std::filesystem::path& path, int flags) {
  const Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
  if (file.get() < 0) fail_work("open {}: {}", path.string(), std::strerror(errno));
  if (::fsync(file.get()) != 0) fail_work("fsync {}: {}", path.string(), std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail_input("open {}: {}", path.string(), std::strerror(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail_input("stat {}: {}", path.string(), std::strerror(errno));
  if (!S_ISREG(info.st_mode)) fail_input("open {}: not a regular file", path.string());
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) fail_input("map {}: {}", path.string(), std::strerror(errno));
  data_ = static_cast<const std::byte*>(memory);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::string read_text(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::filesystem::path part_path(const std::filesystem::path& path) {
  auto part = path;
  part += ".part";
  return part;
}

void publish(const std::filesystem::path& path) {
  const auto part = part_path(path);
  sync_path(part, O_RDONLY);
  if (std::rename(part.c_str(), path.c_str()) != 0) {
    fail_work("rename {} to {}: {}", part.string(), path.string(), std::strerror(errno));
  }
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  sync_path(folder, O_RDONLY | O_DIRECTORY);
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text) {
  const auto part = part_path(path);
  {
    const Descriptor file(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) fail_work("create {}: {}", part.string(), std::strerror(errno));
    while (!text.empty()) {
      const ssize_t written = ::write(file.get(), text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        ::unlink(part.c_str());
        fail_work("write {}: {}", part.string(), std::strerror(reason));
      }
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  publish(path);
}

void drop_pages(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t begin = (address + page - 1) / page * page,
                       end = (address + part.size()) / page * page;
  if (begin >= end) return;
  // A mapping that keeps its pages costs memory, nothing else.
  (void)::madvise(const_cast<std::byte*>(part.data()) + (begin - address), end - begin, MADV_DONTNEED);
}

std::string sha256_of(std::string_view bytes) {
  Sha256 digest;
  digest.add(std::as_bytes(std::span(bytes)));
  return digest.text();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  constexpr std::size_t kChunk = std::size_t{8} << 20;
  const MappedFile file(path);
  Sha256 digest;
  for (std::size_t at = 0; at < file.bytes().size(); at += kChunk) {
    const auto chunk = file.bytes().subspan(at, std::min(kChunk, file.bytes().size() - at));
    digest.add(chunk);
    drop_pages(chunk);
  }
  return digest.text();
}

}  // namespace tide
