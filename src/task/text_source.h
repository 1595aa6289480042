#pragma once
// Running text as words with sentence ends, and passages of it that cost an exact number of tokens.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"
#include "task/random.h"

namespace tide {

/// A text cut at white space.
class TextSource {
 public:
  struct Word {
    std::string_view text;
    bool ends_sentence;  ///< closes with . ? or !, quotes and brackets after it aside
  };

  /// The words of `text`. `name` is for messages.
  TextSource(std::string text, std::string name);
  TextSource(const TextSource&) = delete;
  TextSource& operator=(const TextSource&) = delete;

  std::string_view text() const { return text_; }
  std::span<const Word> words() const { return words_; }
  /// Indices of words that end a sentence, ascending.
  std::span<const std::size_t> sentence_ends() const { return ends_; }
  const std::string& name() const { return name_; }

 private:
  std::string text_, name_;
  std::vector<Word> words_;
  std::vector<std::size_t> ends_;
};

/// Words [begin, end) of a source; `end` stands after a sentence's last word.
struct Passage {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

/// The words of a passage joined by single spaces.
std::string join_words(const TextSource& source, Passage passage);

/// The last word index + 1 of the sentence end nearest to `share` (0..1) of the passage's words: where
/// something can be inserted between sentences. Strictly behind the passage's first word.
std::size_t nearest_sentence_end(const TextSource& source, Passage passage, double share);

/// Finds a passage with `count(passage) == wanted` tokens that ends at a sentence end drawn from
/// `random`, and begins at the word where the count is met. `count` is the length of the whole prompt
/// made of a passage. At least `reserve` words of the source follow it.
/// Throws InputError when the source is too short or no passage meets the count.
Passage find_passage(const TextSource& source, const Tokenizer& tokenizer, Random& random,
                     std::int64_t wanted, const std::function<std::int64_t(Passage)>& count,
                     std::size_t reserve = 0);

/// `bible -f gen1:1-rev22:21` run once, verse labels stripped. Throws InputError naming the Debian
/// package when the program is missing.
std::string king_james_text();

/// "Ge1:1 In the beginning …" lines as running text without the labels.
std::string strip_verse_labels(std::string_view lines);

}  // namespace tide
