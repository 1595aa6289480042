#pragma once
// Byte-pair merging (Sennrich et al., arXiv 1508.07909, section 3.2): neighbours of least rank first, the
// leftmost first among equals.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tide {

class BytePairMerger {
 public:
  /// What one thread needs while it merges; kept between pieces to save allocations.
  struct Scratch {
    struct Symbol {
      std::int32_t id;        ///< -1: merged into the symbol at its left
      std::int32_t previous;  ///< -1: none
      std::int32_t next;      ///< -1: none
    };
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> heap;  ///< rank << 32 | position of the left symbol; least at the front
  };

  /// Ids by a token's text, which outlives the merger.
  using IdOfToken = std::unordered_map<std::string_view, std::int32_t>;

  /// `id_of_token` and `merges`: as in TokenizerData. `whole`: the tokens that a piece of the same text is
  /// without merging. Throws InputError: a merge that is malformed, given twice, or of an unknown token.
  BytePairMerger(const IdOfToken& id_of_token, const std::vector<std::string>& merges, IdOfToken whole);

  /// Appends the ids of one piece to `out`, in O(n log n). A byte that has no token gives nothing.
  void merge(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  struct Merge {
    std::uint32_t rank;
    std::int32_t merged;
  };
  /// The token that a piece is without merging; -1: none.
  std::int32_t find_whole(std::string_view piece) const;
  const Merge* find(std::int32_t left, std::int32_t right) const;
  void offer(std::int32_t position, Scratch& scratch) const;
  void merge_best(Scratch& scratch) const;

  std::array<std::int32_t, 256> id_of_byte_;
  IdOfToken whole_;
  std::unordered_map<std::uint64_t, Merge> merges_;  ///< by left id << 32 | right id
};

}  // namespace tide
