#pragma once
// What can be read off a chat template without running it.

#include <optional>
#include <string>
#include <string_view>

namespace tide {

/// A Jinja template whose tags are brought to one spelling, so that two ways to write the same expression are
/// the same text: no white space outside of string literals, literals in single quotes with \n for a line's
/// end, attributes after a dot (message.role), no marks of white-space control, no comments.
class ChatTemplate {
 public:
  explicit ChatTemplate(std::string_view source);

  bool has(std::string_view normalised) const { return tags_.find(normalised) != std::string::npos; }
  /// Whether an expression begins with `before`, a variable's name and `after`.
  bool has_around_name(std::string_view before, std::string_view after) const;
  /// The text that the template gives besides its tags', by Jinja's rules with trim_blocks and lstrip_blocks,
  /// which transformers sets.
  const std::string& text_between_tags() const { return text_; }
  /// The first literal that begins with `begin`, escapes resolved; nullopt: none.
  std::optional<std::string> literal(std::string_view begin) const;
  /// The literal that the statement {% set NAME = '…' %} gives; nullopt: none.
  std::optional<std::string> variable(std::string_view name) const;
  const std::string& source() const { return source_; }

 private:
  std::string source_, tags_, text_;
};

/// A string literal's text with its escapes \n, \t, \\ and \' resolved.
std::string unescaped(std::string_view literal);

/// `text` without white space at either end, as Python's str.strip and Jinja's trim take it.
std::string_view stripped(std::string_view text);

}  // namespace tide
