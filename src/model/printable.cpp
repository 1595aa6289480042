#include "model/printable.h"

#include "base/text.h"

namespace tide {

std::string printable(std::string_view text) {
  constexpr std::size_t kMaxBytes = 80;
  std::string out;
  for (const char c : to_valid_utf8(text.substr(0, kMaxBytes))) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out += control ? '?' : c;
  }
  return text.size() > kMaxBytes ? out + "…" : out;
}

}  // namespace tide
