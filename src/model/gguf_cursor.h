#pragma once
// A cursor over the bytes of a GGUF file that cannot leave them.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace tide {

static_assert(std::endian::native == std::endian::little, "GGUF values are read as they lie in the file");

/// Reads little-endian values one after another. Every failure is an InputError of the form
/// "FILE: byte OFFSET: what was expected".
class GgufCursor {
 public:
  GgufCursor(std::string file, std::span<const std::byte> bytes) : file_(std::move(file)), bytes_(bytes) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t remaining() const { return bytes_.size() - offset_; }

  /// Throws InputError that points at `where`.
  template <typename... Args>
  [[noreturn]] void fail_at(std::uint64_t where, fmt::format_string<Args...> format, Args&&... args) const {
    fail_input("{}: byte {}: {}", file_, where, fmt::format(format, std::forward<Args>(args)...));
  }

  /// A number of T's width; `what` names it in the message.
  template <typename T>
  T take(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    require(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  /// A string: 64-bit length, then its bytes.
  std::string take_string(std::string_view what) {
    const auto where = offset_;
    const auto length = take<std::uint64_t>(what);
    if (length > remaining()) {
      fail_at(where, "{}: a string of {} bytes, but only {} bytes follow", what, length, remaining());
    }
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + offset_, length);
    offset_ += length;
    return text;
  }

  /// A key or a tensor's name: a string of 1 to 65535 bytes.
  std::string take_name(std::string_view what) {
    const auto where = offset_;
    auto name = take_string(what);
    if (name.empty() || name.size() > 65535) {
      fail_at(where, "{}: 1 to 65535 bytes expected, got {}", what, name.size());
    }
    return name;
  }

  /// A count of things that take at least `least_bytes` each, so that no count makes us allocate more
  /// than the file could fill.
  std::uint64_t take_count(std::string_view what, std::uint64_t least_bytes) {
    const auto where = offset_;
    const auto count = take<std::uint64_t>(what);
    check_count(where, count, what, least_bytes);
    return count;
  }

  void check_count(std::uint64_t where, std::uint64_t count, std::string_view what,
                   std::uint64_t least_bytes) const {
    if (count > remaining() / least_bytes) {
      fail_at(where, "{} {}: the {} bytes that follow hold at most {}", count, what, remaining(),
              remaining() / least_bytes);
    }
  }

 private:
  void require(std::uint64_t count, std::string_view what) const {
    if (count > remaining()) {
      fail_at(offset_, "the file ends inside {}: {} bytes needed, {} left", what, count, remaining());
    }
  }

  std::string file_;
  std::span<const std::byte> bytes_;
  std::uint64_t offset_ = 0;
};

}  // namespace tide
