#pragma once
// Byte-pair merging (Sennrich et al., arXiv 1508.07909, section 3.2): neighbours of least rank first, the
// leftmost first among equals.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"
#include "model/tokenizer_pairs.h"

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

  /// `ids`: the tokens that a piece begins as; `whole`: those that a piece of the same text is without
  /// merging. Throws InputError when the alphabet is byte_fallback and a byte has no token.
  BytePairMerger(Alphabet alphabet, const IdOfToken& ids, PairTable pairs, IdOfToken whole);

  /// Appends the ids of one piece to `out`, in O(n log n). A byte that has no token gives nothing.
  void merge(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

 private:
  /// The token that a piece is without merging; -1: none.
  std::int32_t find_whole(std::string_view piece) const;
  void begin(std::string_view piece, Scratch& scratch) const;
  void offer(std::int32_t position, Scratch& scratch) const;
  void merge_best(Scratch& scratch) const;

  Alphabet alphabet_;
  std::array<std::int32_t, 256> id_of_byte_;
  IdOfToken characters_;  ///< tokens of one character; none where every byte is a symbol
  PairTable pairs_;
  IdOfToken whole_;
};

}  // namespace tide
