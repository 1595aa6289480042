#pragma once
// What is done to text before it is cut and merged.

#include <string>
#include <string_view>

#include "model/tokenizer.h"

namespace tide {

/// SentencePiece's stand-in for a space: U+2581.
inline constexpr std::string_view kSpaceMark = "\u2581";

/// Valid UTF-8 of `text` in Unicode's normal form C; bytes between that are not UTF-8 stay as they are.
std::string to_nfc(std::string_view text);

/// `text` with every space as the mark, and one more before it where `prefix` asks for it; `at_front`:
/// whether it is where the whole text begins. Empty text stays empty.
std::string mark_spaces(std::string_view text, SpacePrefix prefix, bool at_front);

/// `token` with every mark as a space.
std::string unmark_spaces(std::string_view token);

}  // namespace tide
