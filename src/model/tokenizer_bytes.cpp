#include "model/tokenizer_bytes.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <array>
#include <charconv>
#include <cstring>

namespace tide {

namespace {

constexpr int kExtended = 256;     // the first code point of the bytes that are not printable themselves
constexpr int kAlphabetEnd = 324;  // 256 + the 68 such bytes

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// The code point of every byte: itself where it is printable, else 256 and up in the order of the bytes.
constexpr std::array<std::uint16_t, 256> make_code_points() {
  std::array<std::uint16_t, 256> code_points{};
  std::uint16_t next = kExtended;
  for (int byte = 0; byte < 256; ++byte) {
    code_points[byte] = stands_for_itself(byte) ? static_cast<std::uint16_t>(byte) : next++;
  }
  return code_points;
}

constexpr auto kCodePoints = make_code_points();

/// The byte of every code point of the alphabet; -1 outside it.
constexpr std::array<std::int16_t, kAlphabetEnd> make_bytes() {
  std::array<std::int16_t, kAlphabetEnd> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kCodePoints[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}

constexpr auto kBytes = make_bytes();

const utf8proc_uint8_t* as_bytes(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

/// Length of the valid character at the front, and its code point; 0 or less: none.
utf8proc_ssize_t next_character(std::string_view text, utf8proc_int32_t& code_point) {
  return utf8proc_iterate(as_bytes(text), static_cast<utf8proc_ssize_t>(text.size()), &code_point);
}

}  // namespace

std::string alphabet_character(std::uint8_t byte) {
  std::array<utf8proc_uint8_t, 4> utf8;
  const auto length = utf8proc_encode_char(kCodePoints[byte], utf8.data());
  return {reinterpret_cast<const char*>(utf8.data()), static_cast<std::size_t>(length)};
}

std::string alphabet_to_bytes(std::string_view token) {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    utf8proc_int32_t code_point = -1;
    const auto length = next_character(rest, code_point);
    if (length <= 0 || code_point >= kAlphabetEnd || kBytes[code_point] < 0) return std::string(token);
    bytes += static_cast<char>(kBytes[code_point]);
    rest.remove_prefix(static_cast<std::size_t>(length));
  }
  return bytes;
}

std::string byte_name(std::uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

int byte_of_name(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  std::uint8_t byte = 0;
  const char *begin = token.data() + 3, *end = begin + 2;
  return std::from_chars(begin, end, byte, 16).ptr == end ? byte : -1;
}

std::size_t character_length(std::string_view text) {
  utf8proc_int32_t code_point;
  const auto length = next_character(text, code_point);
  return length <= 0 ? 1 : static_cast<std::size_t>(length);
}

std::size_t valid_prefix(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080u;
  std::size_t end = 0;
  while (end < text.size()) {
    std::uint64_t eight = kHighBits;
    if (text.size() - end >= sizeof(eight)) std::memcpy(&eight, text.data() + end, sizeof(eight));
    if ((eight & kHighBits) == 0) {
      end += sizeof(eight);
      continue;
    }
    utf8proc_int32_t code_point;
    const auto length = next_character(text.substr(end), code_point);
    if (length <= 0) break;
    end += static_cast<std::size_t>(length);
  }
  return end;
}

std::size_t invalid_prefix(std::string_view text) {
  std::size_t end = 0;
  utf8proc_int32_t code_point;
  while (end < text.size() && next_character(text.substr(end), code_point) <= 0) ++end;
  return end;
}

}  // namespace tide
