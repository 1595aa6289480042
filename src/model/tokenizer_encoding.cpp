#include "model/tokenizer_encoding.h"

#include <utility>

#include "model/tokenizer_bytes.h"
#include "model/tokenizer_normal.h"

namespace tide {

std::string normalised(const TokenizerData& data, std::string_view text) {
  if (data.marks_in_normal_form) return mark_spaces(text, data.space_prefix, false);
  return data.nfc ? to_nfc(text) : std::string(text);
}

std::vector<std::int32_t> Encoding::ids_of(std::string_view text) {
  const char* front = text.data();
  while (!text.empty()) {
    const auto [section, token] = rules_.names.take_section(text, parse_special_);
    add_section(section, section.data() == front);
    if (token != nullptr) ids_.push_back(token->id);
  }
  return std::move(ids_);
}

void Encoding::add_section(std::string_view text, bool at_front) {
  if (rules_.data.nfc || rules_.data.marks_in_normal_form) text = kept(normalised(rules_.data, text));
  while (!text.empty()) {
    const auto [section, token] = rules_.normalised_names.take_section(text, parse_special_);
    add_text(section, std::exchange(at_front, false));
    if (token != nullptr) ids_.push_back(token->id);
  }
}

void Encoding::add_text(std::string_view text, bool at_front) {
  const TokenizerData& data = rules_.data;
  if (data.alphabet == Alphabet::byte_fallback && !data.marks_in_normal_form) {
    text = kept(mark_spaces(text, data.space_prefix, at_front));
  }
  while (!text.empty()) {
    const std::size_t valid = valid_prefix(text);
    add_valid(text.substr(0, valid));
    text.remove_prefix(valid);
    const std::size_t invalid = invalid_prefix(text);
    if (invalid > 0) merge(text.substr(0, invalid));
    text.remove_prefix(invalid);
  }
}

void Encoding::add_valid(std::string_view text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = rules_.splitter.piece_end(text, begin, split_scratch_);
    add_piece(text.substr(begin, end - begin));
    begin = end;
  }
}

void Encoding::add_piece(std::string_view piece) {
  // A word that came before is copied from where it stands in the result.
  constexpr std::size_t kMaxCachedBytes = 64;
  if (piece.size() > kMaxCachedBytes) return merge(piece);
  const auto [known, is_new] = seen_.try_emplace(piece, Place{ids_.size(), 0});
  auto& [begin, count] = known->second;
  if (is_new) {
    merge(piece);
    count = ids_.size() - begin;
  } else {
    for (std::size_t i = 0; i < count; ++i) ids_.push_back(ids_[begin + i]);
  }
}

}  // namespace tide
