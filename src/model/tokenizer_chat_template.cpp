#include "model/tokenizer_chat_template.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace tide {

namespace {

constexpr std::string_view kAsciiSpace = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
// What Python calls white space beyond ASCII.
constexpr std::array<std::string_view, 19> kWideSpaces = {
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

bool is_space(char c) { return kAsciiSpace.find(c) != std::string_view::npos; }

/// Where a literal that begins at `begin` ends, its quote included.
std::size_t literal_end(std::string_view text, std::size_t begin) {
  std::size_t at = begin + 1;
  while (at < text.size() && text[at] != text[begin]) at += text[at] == '\\' ? 2 : 1;
  return std::min(at + 1, text.size());
}

/// `['name']` -> `.name`
void replace_subscripts(std::string& tag) {
  for (const char* name : {"role", "content"}) {
    const std::string subscript = std::string("['") + name + "']";
    for (auto at = tag.find(subscript); at != std::string::npos; at = tag.find(subscript, at)) {
      tag.replace(at, subscript.size(), std::string(".") + name);
    }
  }
}

/// What stands within a tag, in one spelling.
std::string normalised_tag(std::string_view inner) {
  std::string tag;
  for (std::size_t at = 0; at < inner.size();) {
    if (inner[at] == '\'' || inner[at] == '"') {
      const std::size_t end = literal_end(inner, at);
      const std::string_view literal = inner.substr(at + 1, end - at - std::min<std::size_t>(2, end - at));
      const bool holds_quote = inner[at] == '"' && literal.find('\'') != std::string_view::npos;
      const char quote = holds_quote ? '"' : '\'';
      tag += quote;
      for (const char c : literal) c == '\n' ? tag += "\\n" : tag += c;
      tag += quote;
      at = end;
    } else {
      if (!is_space(inner[at])) tag += inner[at];
      ++at;
    }
  }
  replace_subscripts(tag);
  return tag;
}

/// Where a tag whose inside begins at `begin` is closed by `close`; literals may hold it.
std::size_t tag_end(std::string_view text, std::size_t begin, std::string_view close, bool literals) {
  std::size_t at = begin;
  while (at < text.size() && !text.substr(at).starts_with(close)) {
    at = literals && (text[at] == '\'' || text[at] == '"') ? literal_end(text, at) : at + 1;
  }
  return std::min(at, text.size());
}

struct Tag {
  char kind = 0;  // '{', '%', '#'; 0: the template's begin or end
  bool strips_before = false, strips_after = false;
};

/// The white space that Jinja leaves of a text between two tags.
std::string_view left_between(std::string_view text, const Tag& before, const Tag& after) {
  bool begins_line = before.kind == 0;
  if (before.strips_after) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  } else if ((before.kind == '%' || before.kind == '#') && text.starts_with('\n')) {
    text.remove_prefix(1);
    begins_line = true;
  }
  if (after.strips_before) {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  } else if (after.kind == '%' || after.kind == '#') {
    const auto last = text.find_last_not_of(" \t");
    if (last == std::string_view::npos ? begins_line : text[last] == '\n') {
      text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
    }
  }
  if (after.kind == 0 && text.ends_with('\n')) text.remove_suffix(1);  // keep_trailing_newline is off
  return text;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source) : source_(source) {
  Tag before;
  for (std::size_t at = 0; at < source.size();) {
    std::size_t open = source.find('{', at);
    while (open != std::string_view::npos && open + 1 < source.size() &&
           std::string_view("{%#").find(source[open + 1]) == std::string_view::npos) {
      open = source.find('{', open + 1);
    }
    if (open == std::string_view::npos || open + 1 >= source.size()) {
      text_ += left_between(source.substr(at), before, {});
      break;
    }
    Tag tag{source[open + 1]};
    const std::string close = std::string(1, tag.kind == '{' ? '}' : tag.kind) + "}";
    std::size_t begin = open + 2;
    const std::size_t end = tag_end(source, begin, close, tag.kind != '#');
    tag.strips_before = begin < end && source[begin] == '-';
    tag.strips_after = end > begin && source[end - 1] == '-';
    text_ += left_between(source.substr(at, open - at), before, tag);
    if (tag.kind != '#') {
      begin += tag.strips_before ? 1 : 0;
      const std::size_t last = std::max(begin, tag.strips_after ? end - 1 : end);
      ((tags_ += '{') += tag.kind) += normalised_tag(source.substr(begin, last - begin));
      tags_ += close;
    }
    before = tag;
    at = end + close.size();
  }
}

bool ChatTemplate::has_around_name(std::string_view before, std::string_view after) const {
  const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (auto at = tags_.find(before); at != std::string::npos; at = tags_.find(before, at + 1)) {
    std::size_t end = at + before.size();
    while (end < tags_.size() && in_name(tags_[end])) ++end;
    if (std::string_view(tags_).substr(end).starts_with(after)) return true;
  }
  return false;
}

std::optional<std::string> ChatTemplate::literal(std::string_view begin) const {
  for (std::size_t at = 0; at < tags_.size();) {
    if (tags_[at] != '\'' && tags_[at] != '"') {
      ++at;
      continue;
    }
    const std::size_t end = literal_end(tags_, at);
    const std::string_view inner = std::string_view(tags_).substr(at + 1, end - at - 2);
    if (inner.starts_with(begin)) return unescaped(inner);
    at = end;
  }
  return std::nullopt;
}

std::optional<std::string> ChatTemplate::variable(std::string_view name) const {
  const std::string statement = "{%set" + std::string(name) + "='";
  const auto found = tags_.find(statement);
  if (found == std::string::npos) return std::nullopt;
  const std::size_t begin = found + statement.size() - 1, end = literal_end(tags_, begin);
  if (!std::string_view(tags_).substr(end).starts_with("%}")) return std::nullopt;
  return unescaped(std::string_view(tags_).substr(begin + 1, end - begin - 2));
}

std::string unescaped(std::string_view literal) {
  std::string text;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    const bool escape = literal[i] == '\\' && i + 1 < literal.size();
    const char c = escape ? literal[++i] : literal[i];
    text += escape && c == 'n' ? '\n' : escape && c == 't' ? '\t' : c;
  }
  return text;
}

std::string_view stripped(std::string_view text) {
  const auto front = [&]() -> std::size_t {
    if (!text.empty() && is_space(text.front())) return 1;
    const auto wide = std::find_if(kWideSpaces.begin(), kWideSpaces.end(),
                                   [&](std::string_view space) { return text.starts_with(space); });
    return wide == kWideSpaces.end() ? 0 : wide->size();
  };
  const auto back = [&]() -> std::size_t {
    if (!text.empty() && is_space(text.back())) return 1;
    const auto wide = std::find_if(kWideSpaces.begin(), kWideSpaces.end(),
                                   [&](std::string_view space) { return text.ends_with(space); });
    return wide == kWideSpaces.end() ? 0 : wide->size();
  };
  for (std::size_t n = front(); n > 0; n = front()) text.remove_prefix(n);
  for (std::size_t n = back(); n > 0; n = back()) text.remove_suffix(n);
  return text;
}

}  // namespace tide
