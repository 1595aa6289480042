#pragma once
// How vocabularies write bytes, and where text is valid UTF-8.

#include <cstdint>
#include <string>
#include <string_view>

namespace tide {

/// The character that stands for `byte` in GPT-2's vocabularies, where every byte has one that is printable;
/// as UTF-8.
std::string alphabet_character(std::uint8_t byte);

/// The bytes that a token written in the alphabet stands for. A token with a character outside the
/// alphabet stands for its own bytes, as Hugging Face's decoder has it.
std::string alphabet_to_bytes(std::string_view token);

/// "<0x0A>": the token of a byte in SentencePiece's vocabularies.
std::string byte_name(std::uint8_t byte);

/// The byte that a token stands for, its hexadecimal digits in either case; -1: it is no byte's name.
int byte_of_name(std::string_view token);

/// Bytes of the valid UTF-8 character at the front of `text`, which is not empty; 1 where there is none.
std::size_t character_length(std::string_view text);

/// Bytes at the front of `text` that are valid UTF-8.
std::size_t valid_prefix(std::string_view text);

/// Bytes at the front of `text` before the next valid UTF-8 character.
std::size_t invalid_prefix(std::string_view text);

}  // namespace tide
