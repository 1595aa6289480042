#include "model/tokenizer_normal.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "model/tokenizer_bytes.h"

namespace tide {

namespace {

/// `text` is valid UTF-8.
std::string valid_to_nfc(std::string_view text) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0) fail_work("utf8proc_map: {}", utf8proc_errmsg(length));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length)};
}

bool asks_for_mark(std::string_view text, SpacePrefix prefix, bool at_front) {
  const bool has_one = text.starts_with(' ') || text.starts_with(kSpaceMark);
  switch (prefix) {
    case SpacePrefix::none:
      return false;
    case SpacePrefix::always:
      return true;
    case SpacePrefix::missing:
      return !has_one;
    case SpacePrefix::missing_first:
      return !has_one && at_front;
  }
  return false;
}

}  // namespace

std::string to_nfc(std::string_view text) {
  std::string normal;
  while (!text.empty()) {
    const std::size_t valid = valid_prefix(text);
    normal += valid_to_nfc(text.substr(0, valid));
    text.remove_prefix(valid);
    const std::size_t invalid = invalid_prefix(text);
    normal += text.substr(0, invalid);
    text.remove_prefix(invalid);
  }
  return normal;
}

std::string mark_spaces(std::string_view text, SpacePrefix prefix, bool at_front) {
  std::string marked;
  if (text.empty()) return marked;
  if (asks_for_mark(text, prefix, at_front)) marked += kSpaceMark;
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked += c;
    }
  }
  return marked;
}

std::string unmark_spaces(std::string_view token) {
  std::string text;
  for (auto mark = token.find(kSpaceMark); mark != std::string_view::npos; mark = token.find(kSpaceMark)) {
    (text += token.substr(0, mark)) += ' ';
    token.remove_prefix(mark + kSpaceMark.size());
  }
  return text += token;
}

}  // namespace tide
