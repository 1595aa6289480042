#include "model/tokenizer_merge.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"

namespace tide {

namespace {

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

BytePairMerger::BytePairMerger(const IdOfToken& id_of_token, const std::vector<std::string>& merges,
                               IdOfToken whole)
    : whole_(std::move(whole)) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = id_of_token.find(alphabet_character(static_cast<std::uint8_t>(byte)));
    id_of_byte_[byte] = found == id_of_token.end() ? -1 : found->second;
  }
  merges_.reserve(merges.size());
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const auto fail = [&](const char* reason) {
      fail_input("tokenizer merge {} '{}': {}", rank, printable(merge), reason);
    };
    const auto space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      fail("two tokens with one space between them expected");
    }
    const auto left = id_of_token.find(merge.substr(0, space));
    const auto right = id_of_token.find(merge.substr(space + 1));
    if (left == id_of_token.end() || right == id_of_token.end()) fail("one of the two is no token");
    const auto merged = id_of_token.find(std::string(left->first) + std::string(right->first));
    if (merged == id_of_token.end()) fail("the two joined are no token");
    if (!merges_.try_emplace(key_of(left->second, right->second), Merge{rank, merged->second}).second) {
      fail("the same merge stands earlier");
    }
  }
}

std::int32_t BytePairMerger::find_whole(std::string_view piece) const {
  if (whole_.empty()) return -1;
  std::string text;
  for (const char c : piece) text += alphabet_character(static_cast<std::uint8_t>(c));
  const auto found = whole_.find(text);
  return found == whole_.end() ? -1 : found->second;
}

const BytePairMerger::Merge* BytePairMerger::find(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(key_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairMerger::offer(std::int32_t position, Scratch& scratch) const {
  if (position < 0 || scratch.symbols[position].next < 0) return;
  const auto& left = scratch.symbols[position];
  const Merge* merge = find(left.id, scratch.symbols[left.next].id);
  if (merge == nullptr) return;
  scratch.heap.push_back(std::uint64_t{merge->rank} << 32 | static_cast<std::uint32_t>(position));
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
  const Merge* merge = find(left.id, right.id);
  if (merge == nullptr || merge->rank != rank) return;
  left.id = merge->merged;
  left.next = right.next;
  right.id = -1;
  if (left.next >= 0) symbols[left.next].previous = position;
  offer(left.previous, scratch);
  offer(position, scratch);
}

void BytePairMerger::merge(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  if (const std::int32_t id = find_whole(piece); id >= 0) return out.push_back(id);
  auto& symbols = scratch.symbols;
  symbols.clear();
  for (const char c : piece) {
    const std::int32_t id = id_of_byte_[static_cast<unsigned char>(c)];
    if (id < 0) continue;
    const auto position = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  scratch.heap.clear();
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols.size()); ++i) offer(i, scratch);
  while (!scratch.heap.empty()) merge_best(scratch);
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next) out.push_back(symbols[i].id);
}

}  // namespace tide
