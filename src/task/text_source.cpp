#include "task/text_source.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <unordered_map>

#include "base/error.h"

namespace tide {

namespace {

bool closes_sentence(std::string_view word) {
  while (!word.empty() &&
         (word.back() == '"' || word.back() == '\'' || word.back() == ')' || word.back() == ']')) {
    word.remove_suffix(1);
  }
  return !word.empty() && (word.back() == '.' || word.back() == '?' || word.back() == '!');
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

/// Tokens that a word adds to a text, remembered by word.
class WordCost {
 public:
  explicit WordCost(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer), before_(static_cast<std::int64_t>(tokenizer.encode(kBefore).size())) {}
  std::int64_t of(std::string_view word) {
    const auto [entry, is_new] = cost_.try_emplace(word, 0);
    if (is_new) {
      const auto ids = tokenizer_.encode(fmt::format("{} {}", kBefore, word));
      entry->second = static_cast<std::int64_t>(ids.size()) - before_;
    }
    return entry->second;
  }

 private:
  /// What stands before the word: some tokenizers put a space of their own before a text.
  static constexpr const char* kBefore = "the";

  const Tokenizer& tokenizer_;
  std::int64_t before_;
  std::unordered_map<std::string_view, std::int64_t> cost_;
};

/// The passage ending before `end` whose words cost `budget` tokens, or nothing beyond it: begin == end
/// when the text's beginning is reached first.
Passage fill_backwards(const TextSource& source, WordCost& cost, std::size_t end, std::int64_t budget) {
  std::size_t begin = end;
  while (begin > 0) {
    const auto next = cost.of(source.words()[begin - 1].text);
    if (next > budget) return {begin, end};
    budget -= next;
    --begin;
    if (budget == 0) return {begin, end};
  }
  return {end, end};
}

}  // namespace

TextSource::TextSource(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {
  std::size_t at = 0;
  while (at < text_.size()) {
    while (at < text_.size() && is_space(text_[at])) ++at;
    const std::size_t begin = at;
    while (at < text_.size() && !is_space(text_[at])) ++at;
    if (at == begin) break;
    const std::string_view word(text_.data() + begin, at - begin);
    words_.push_back({word, closes_sentence(word)});
    if (words_.back().ends_sentence) ends_.push_back(words_.size() - 1);
  }
}

std::string join_words(const TextSource& source, Passage passage) {
  std::string text;
  for (std::size_t i = passage.begin; i < passage.end; ++i) {
    if (i > passage.begin) text += ' ';
    text += source.words()[i].text;
  }
  return text;
}

std::size_t nearest_sentence_end(const TextSource& source, Passage passage, double share) {
  const double wanted = static_cast<double>(passage.begin) + share * static_cast<double>(passage.size());
  const auto distance = [&](std::size_t end) { return std::abs(static_cast<double>(end + 1) - wanted); };
  const auto ends = source.sentence_ends();
  const auto first = std::lower_bound(ends.begin(), ends.end(), passage.begin);
  const auto last = std::lower_bound(first, ends.end(), passage.end);
  TIDE_ASSERT(first != last);
  return 1 + *std::min_element(first, last, [&](auto a, auto b) { return distance(a) < distance(b); });
}

Passage find_passage(const TextSource& source, const Tokenizer& tokenizer, Random& random,
                     std::int64_t wanted, const std::function<std::int64_t(Passage)>& count,
                     std::size_t reserve) {
  constexpr int kEndsTried = 64, kCorrections = 3;
  const auto ends = source.sentence_ends();
  // A sentence end too near to the front cannot close a passage; one too near to the back has no
  // continuation.
  const auto last = std::partition_point(
      ends.begin(), ends.end(), [&](auto end) { return end + 1 + reserve <= source.words().size(); });
  const auto n_ends = static_cast<std::uint64_t>(last - ends.begin());
  if (n_ends == 0)
    fail_input("text {}: no sentence end (a word closing with . ? or !) in {} words", source.name(),
               source.words().size());
  WordCost cost(tokenizer);
  for (int tried = 0; tried < kEndsTried; ++tried) {
    const std::size_t end = ends[random.below(n_ends)] + 1;
    // What stands around the passage is not known beforehand: guess, count, correct.
    std::int64_t budget = wanted;
    for (int i = 0; i < kCorrections && budget > 0; ++i) {
      const auto passage = fill_backwards(source, cost, end, budget);
      if (passage.size() == 0) break;
      const std::int64_t excess = count(passage) - wanted;
      if (excess == 0) return passage;
      budget -= excess;
    }
  }
  fail_input("text {}: found no passage that makes a prompt of exactly {} tokens ({} words in all)",
             source.name(), wanted, source.words().size());
}

std::string strip_verse_labels(std::string_view lines) {
  std::string text;
  text.reserve(lines.size());
  while (!lines.empty()) {
    const auto newline = lines.find('\n');
    auto line = lines.substr(0, newline);
    lines.remove_prefix(newline == std::string_view::npos ? lines.size() : newline + 1);
    const auto space = line.find(' ');
    if (space != std::string_view::npos && line.substr(0, space).find(':') != std::string_view::npos) {
      line.remove_prefix(space + 1);
    }
    text += line;
    text += '\n';
  }
  return text;
}

}  // namespace tide
