#include "model/tokenizer_pairs.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_bytes.h"

namespace tide {

namespace {

constexpr float kNoPart = -std::numeric_limits<float>::infinity();

/// Every two pieces of a token are looked up: what bounds the work that a forged vocabulary makes.
constexpr std::size_t kMaxBytes = 1024;

/// Ranks of scores, the highest first.
class ScoreRanks {
 public:
  explicit ScoreRanks(std::vector<float> scores) : scores_(std::move(scores)) {
    for (std::size_t id = 0; id < scores_.size(); ++id) {
      if (std::isnan(scores_[id]) || scores_[id] == -kNoPart) {
        fail_input("tokenizer token {}: score {}, a finite number expected", id, scores_[id]);
      }
    }
    std::sort(scores_.begin(), scores_.end(), std::greater<>());
    scores_.erase(std::unique(scores_.begin(), scores_.end()), scores_.end());
  }

  std::uint32_t of(float score) const {
    const auto place = std::lower_bound(scores_.begin(), scores_.end(), score, std::greater<>());
    return static_cast<std::uint32_t>(place - scores_.begin());
  }

 private:
  std::vector<float> scores_;
};

}  // namespace

PairTable PairTable::of_merges(const IdOfToken& ids, const std::vector<std::string>& merges) {
  PairTable table;
  table.pairs_.reserve(merges.size());
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const auto fail = [&](const char* reason) {
      fail_input("tokenizer merge {} '{}': {}", rank, printable(merge), reason);
    };
    const auto space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      fail("two tokens with one space between them expected");
    }
    const auto left = ids.find(merge.substr(0, space));
    const auto right = ids.find(merge.substr(space + 1));
    if (left == ids.end() || right == ids.end()) fail("one of the two is no token");
    const auto merged = ids.find(std::string(left->first) + std::string(right->first));
    if (merged == ids.end()) fail("the two joined are no token");
    if (!table.pairs_.try_emplace(key_of(left->second, right->second), Pair{rank, merged->second}).second) {
      fail("the same merge stands earlier");
    }
  }
  return table;
}

PairTable PairTable::of_scores(const std::vector<std::string>& tokens, const std::vector<float>& scores) {
  const ScoreRanks ranks(scores);
  IdOfToken ids;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (scores[id] == kNoPart) continue;
    if (tokens[id].size() > kMaxBytes) {
      fail_input("tokenizer token {} '{}': {} bytes, supported are {}", id, printable(tokens[id]),
                 tokens[id].size(), kMaxBytes);
    }
    ids.try_emplace(tokens[id], static_cast<std::int32_t>(id));
  }
  PairTable table;
  for (const auto& [token, id] : ids) {
    const Pair pair{ranks.of(scores[static_cast<std::size_t>(id)]), id};
    for (std::size_t cut = character_length(token); cut < token.size();
         cut += character_length(token.substr(cut))) {
      const auto left = ids.find(token.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(token.substr(cut));
      if (right != ids.end()) table.pairs_.try_emplace(key_of(left->second, right->second), pair);
    }
  }
  return table;
}

}  // namespace tide
