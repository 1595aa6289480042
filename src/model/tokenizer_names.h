#pragma once
// Tokens that are found in text by their names.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

class TokenNames {
 public:
  struct Token {
    std::string name;
    std::int32_t id;
    bool is_special;
  };
  /// Text without a token's name, and the token that follows it; nullptr: the text ends.
  struct Section {
    std::string_view text;
    const Token* token;
  };

  /// Throws InputError for a token without a name.
  explicit TokenNames(const std::vector<Token>& tokens);

  /// Cuts the first section off `text`. Names of special tokens are text unless `parse_special`. Of names
  /// that begin at one place the longest counts; one that is text hides those that begin within it, as in
  /// Hugging Face's tokenizers.
  Section take_section(std::string_view& text, bool parse_special) const;

  bool contains(std::string_view name) const;

 private:
  /// The longest name with which `text` begins; nullptr: none.
  const Token* at_front(std::string_view text) const;

  std::array<std::vector<Token>, 256> by_first_byte_;  ///< the longest first
  bool any_ = false, any_ordinary_ = false;
};

}  // namespace tide
