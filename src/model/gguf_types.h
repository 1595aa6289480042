#pragma once
// The tensor types of GGUF: how each lies in memory, and the names of those we do not read.

#include <cstdint>
#include <string>

#include "model/gguf.h"

namespace tide {

/// A row is a whole number of blocks.
struct GgufLayout {
  const char* name;             ///< as the gguf package spells it: "Q4_1"
  std::int64_t block_elements;  ///< weights in one block
  std::int64_t block_bytes;     ///< bytes of one block
};

/// The layout of a type number; nullptr for one that we do not read.
const GgufLayout* gguf_layout(std::uint32_t type);

/// The name of any type number that the format defines, or "unknown type N".
std::string gguf_type_name(std::uint32_t type);

/// "F32, F16, …": the types that gguf_layout knows.
std::string supported_gguf_types();

}  // namespace tide
