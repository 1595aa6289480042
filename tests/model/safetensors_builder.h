#pragma once
// Small safetensors files made in memory, so that a test can spoil any one field.

#include <cstring>
#include <string>

namespace tide {

/// A file of this header and data, `header_bytes` saying how long the header is.
inline std::string safetensors_bytes(const std::string& header, const std::string& data,
                                     std::uint64_t header_bytes) {
  std::string bytes(sizeof(header_bytes), '\0');
  std::memcpy(bytes.data(), &header_bytes, sizeof(header_bytes));
  return bytes + header + data;
}

/// The same with the header padded to a multiple of 8 bytes, as the format's own writer does.
inline std::string safetensors_bytes(std::string header, const std::string& data) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return safetensors_bytes(header, data, header.size());
}

}  // namespace tide
