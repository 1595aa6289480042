#pragma once
// Text of a file in an error message.

#include <string>
#include <string_view>

namespace tide {

/// `text` made fit for a one-line message: valid UTF-8, no control characters, at most 80 of its bytes.
std::string printable(std::string_view text);

}  // namespace tide
