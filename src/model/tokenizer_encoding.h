#pragma once
// The way of one text to its ids.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/tokenizer.h"
#include "model/tokenizer_merge.h"
#include "model/tokenizer_names.h"
#include "model/tokenizer_split.h"

namespace tide {

/// What all texts share.
struct EncodingRules {
  const TokenizerData& data;
  const TokenNames& names;             ///< sought in the text as it is
  const TokenNames& normalised_names;  ///< sought in what the normal form makes of the rest
  const Splitter& splitter;
  const BytePairMerger& merger;
};

/// What the normal form of `data` makes of text between tokens' names.
std::string normalised(const TokenizerData& data, std::string_view text);

/// One call of encode: the state that its pieces share.
class Encoding {
 public:
  Encoding(const EncodingRules& rules, bool parse_special)
      : rules_(rules), parse_special_(parse_special), split_scratch_(rules.splitter) {}

  /// The ids of a whole text, once.
  std::vector<std::int32_t> ids_of(std::string_view text);

 private:
  /// Text without names of `names`; `at_front`: where the whole text begins.
  void add_section(std::string_view text, bool at_front);
  /// Normalised text without names. What is not valid UTF-8 makes pieces of its own.
  void add_text(std::string_view text, bool at_front);
  void add_valid(std::string_view text);
  void add_piece(std::string_view piece);
  void merge(std::string_view piece) { rules_.merger.merge(piece, merge_scratch_, ids_); }
  std::string_view kept(std::string text) { return kept_.emplace_back(std::move(text)); }

  struct Place {
    std::size_t begin;
    std::size_t count;
  };
  EncodingRules rules_;
  bool parse_special_;
  std::deque<std::string> kept_;  ///< what `seen_` refers to
  Splitter::Scratch split_scratch_;
  BytePairMerger::Scratch merge_scratch_;
  std::unordered_map<std::string_view, Place> seen_;
  std::vector<std::int32_t> ids_;
};

}  // namespace tide
