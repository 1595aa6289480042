#include "model/tokenizer_merge.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "model/tokenizer_bytes.h"

namespace tide {

BytePairMerger::BytePairMerger(Alphabet alphabet, const IdOfToken& ids, PairTable pairs, IdOfToken whole)
    : alphabet_(alphabet), pairs_(std::move(pairs)), whole_(std::move(whole)) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<std::uint8_t>(byte);
    const std::string name = alphabet == Alphabet::byte_level ? alphabet_character(value) : byte_name(value);
    const auto found = ids.find(name);
    if (found == ids.end() && alphabet == Alphabet::byte_fallback) {
      fail_input("tokenizer: no token {}; byte fallback needs one for each of the 256 bytes", name);
    }
    id_of_byte_[value] = found == ids.end() ? -1 : found->second;
  }
  if (alphabet == Alphabet::byte_level) return;
  for (const auto& [token, id] : ids) {
    if (character_length(token) == token.size()) characters_.try_emplace(token, id);
  }
}

std::int32_t BytePairMerger::find_whole(std::string_view piece) const {
  if (whole_.empty()) return -1;
  std::string text;
  if (alphabet_ == Alphabet::byte_level) {
    for (const char c : piece) text += alphabet_character(static_cast<std::uint8_t>(c));
    piece = text;
  }
  const auto found = whole_.find(piece);
  return found == whole_.end() ? -1 : found->second;
}

void BytePairMerger::begin(std::string_view piece, Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  const auto add = [&](std::int32_t id) {
    const auto position = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  };
  while (!piece.empty()) {
    const std::size_t length = alphabet_ == Alphabet::byte_level ? 1 : character_length(piece);
    const auto character = characters_.find(piece.substr(0, length));
    if (character != characters_.end()) {
      add(character->second);
    } else {
      for (const char c : piece.substr(0, length)) {
        const std::int32_t id = id_of_byte_[static_cast<unsigned char>(c)];
        if (id >= 0) add(id);
      }
    }
    piece.remove_prefix(length);
  }
  if (!symbols.empty()) symbols.back().next = -1;
}

void BytePairMerger::offer(std::int32_t position, Scratch& scratch) const {
  if (position < 0 || scratch.symbols[position].next < 0) return;
  const auto& left = scratch.symbols[position];
  const PairTable::Pair* pair = pairs_.find(left.id, scratch.symbols[left.next].id);
  if (pair == nullptr) return;
  scratch.heap.push_back(std::uint64_t{pair->rank} << 32 | static_cast<std::uint32_t>(position));
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
}

void BytePairMerger::merge_best(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  std::pop_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
  const auto rank = static_cast<std::uint32_t>(scratch.heap.back() >> 32);
  const auto position = static_cast<std::int32_t>(scratch.heap.back());
  scratch.heap.pop_back();
  // An offer is stale when either symbol has been merged since: then the pair there is another one.
  auto& left = symbols[position];
  if (left.id < 0 || left.next < 0) return;
  auto& right = symbols[left.next];
  const PairTable::Pair* pair = pairs_.find(left.id, right.id);
  if (pair == nullptr || pair->rank != rank) return;
  left.id = pair->merged;
  left.next = right.next;
  right.id = -1;
  if (left.next >= 0) symbols[left.next].previous = position;
  offer(left.previous, scratch);
  offer(position, scratch);
}

void BytePairMerger::merge(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  if (const std::int32_t id = find_whole(piece); id >= 0) return out.push_back(id);
  begin(piece, scratch);
  if (scratch.symbols.empty()) return;
  scratch.heap.clear();
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(scratch.symbols.size()); ++i) offer(i, scratch);
  while (!scratch.heap.empty()) merge_best(scratch);
  for (std::int32_t i = 0; i >= 0; i = scratch.symbols[i].next) out.push_back(scratch.symbols[i].id);
}

}  // namespace tide
