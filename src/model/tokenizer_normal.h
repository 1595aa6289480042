#pragma once
// Unicode normal forms of text.

#include <string>
#include <string_view>

namespace tide {

/// `text`, which is valid UTF-8, in Unicode's normal form C.
std::string to_nfc(std::string_view text);

}  // namespace tide
