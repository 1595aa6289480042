#pragma once
// The byte alphabet of GPT-2's vocabularies: every byte has a printable character that stands for it.

#include <cstdint>
#include <string>
#include <string_view>

namespace tide {

/// The character that stands for `byte`, as UTF-8.
std::string alphabet_character(std::uint8_t byte);

/// The bytes that a token written in the alphabet stands for. A token with a character outside the
/// alphabet stands for its own bytes, as Hugging Face's decoder has it.
std::string alphabet_to_bytes(std::string_view token);

/// Bytes at the front of `text` that are valid UTF-8.
std::size_t valid_prefix(std::string_view text);

/// Bytes at the front of `text` before the next valid UTF-8 character.
std::size_t invalid_prefix(std::string_view text);

}  // namespace tide
