#pragma once
// The three parts of a GGUF file, read in their order.

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "model/gguf.h"
#include "model/gguf_cursor.h"

namespace tide {

struct GgufHeader {
  std::uint64_t n_tensors;
  std::uint64_t n_metadata;
};

/// Magic, version and the two counts. Throws InputError.
GgufHeader parse_header(GgufCursor& cursor);

/// The metadata, and where in the file each value begins. Throws InputError.
std::map<std::string, GgufValue> parse_metadata(GgufCursor& cursor, std::uint64_t count,
                                                std::map<std::string, std::uint64_t>& offsets);

/// The tensor directory, its spans pointing into `file`: aligned, inside the file, not overlapping.
/// Throws InputError.
std::map<std::string, StoredTensor> parse_tensors(GgufCursor& cursor, std::uint64_t count,
                                                  std::uint64_t alignment, std::span<const std::byte> file);

}  // namespace tide
