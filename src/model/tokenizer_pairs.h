#pragma once
// Which neighbouring tokens become one, and in what order.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tide {

/// Ids by a token's text, which outlives its users.
using IdOfToken = std::unordered_map<std::string_view, std::int32_t>;

class PairTable {
 public:
  struct Pair {
    std::uint32_t rank;   ///< the least is merged first
    std::int32_t merged;  ///< the token that the two become
  };

  /// Throws InputError: a merge that is malformed, given twice, or of an unknown token.
  static PairTable of_merges(const IdOfToken& ids, const std::vector<std::string>& merges);

  /// As SentencePiece does (Kudo and Richardson, arXiv 1808.06226): any two tokens whose joined text is one,
  /// in the order of falling score; equal scores have equal rank. A token of score -infinity takes no part.
  /// Throws InputError: a score that is no number or +infinity, a token of more than 1024 bytes.
  static PairTable of_scores(const std::vector<std::string>& tokens, const std::vector<float>& scores);

  const Pair* find(std::int32_t left, std::int32_t right) const {
    const auto found = pairs_.find(key_of(left, right));
    return found == pairs_.end() ? nullptr : &found->second;
  }

 private:
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }

  std::unordered_map<std::uint64_t, Pair> pairs_;
};

}  // namespace tide
