#include "model/tokenizer_names.h"

#include <algorithm>

#include "base/error.h"

namespace tide {

TokenNames::TokenNames(const std::vector<Token>& tokens) : any_(!tokens.empty()) {
  for (const Token& token : tokens) {
    if (token.name.empty()) fail_input("tokenizer token {}: a special token without a name", token.id);
    by_first_byte_[static_cast<unsigned char>(token.name[0])].push_back(token);
    any_ordinary_ = any_ordinary_ || !token.is_special;
  }
  for (auto& candidates : by_first_byte_) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Token& a, const Token& b) { return a.name.size() > b.name.size(); });
  }
}

const TokenNames::Token* TokenNames::at_front(std::string_view text) const {
  for (const Token& candidate : by_first_byte_[static_cast<unsigned char>(text[0])]) {
    if (text.starts_with(candidate.name)) return &candidate;
  }
  return nullptr;
}

bool TokenNames::contains(std::string_view name) const {
  const Token* token = name.empty() ? nullptr : at_front(name);
  return token != nullptr && token->name == name;
}

TokenNames::Section TokenNames::take_section(std::string_view& text, bool parse_special) const {
  const bool any_counts = parse_special ? any_ : any_ordinary_;
  for (std::size_t at = 0; any_counts && at < text.size();) {
    const Token* token = at_front(text.substr(at));
    if (token == nullptr) {
      ++at;
    } else if (token->is_special && !parse_special) {
      at += token->name.size();
    } else {
      const Section section{text.substr(0, at), token};
      text.remove_prefix(at + token->name.size());
      return section;
    }
  }
  const Section section{text, nullptr};
  text = {};
  return section;
}

}  // namespace tide
