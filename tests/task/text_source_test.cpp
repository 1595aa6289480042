#include "task/text_source.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/error.h"
#include "tests/support/tiny_model.h"
#include "tests/task/sample_text.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(TextSource, CutsAtWhiteSpaceAndKnowsSentenceEnds) {
  const TextSource source("  One two.\nThree (four?) five\tsix: \"seven!\"\n", "test");
  std::vector<std::string> words;
  for (const auto& word : source.words()) words.emplace_back(word.text);
  EXPECT_THAT(words, ElementsAre("One", "two.", "Three", "(four?)", "five", "six:", "\"seven!\""));
  EXPECT_THAT(std::vector<std::size_t>(source.sentence_ends().begin(), source.sentence_ends().end()),
              ElementsAre(1, 3, 6));
  EXPECT_EQ(join_words(source, {1, 4}), "two. Three (four?)");
}

TEST(TextSource, NearestSentenceEndIsTheNearestOne) {
  const TextSource source("a b. c d e f. g h i j.", "test");  // ends behind words 2, 6, 10
  EXPECT_EQ(nearest_sentence_end(source, {0, 10}, 0.0), 2u);
  EXPECT_EQ(nearest_sentence_end(source, {0, 10}, 0.3), 2u);
  EXPECT_EQ(nearest_sentence_end(source, {0, 10}, 0.5), 6u);
  EXPECT_EQ(nearest_sentence_end(source, {0, 10}, 1.0), 10u);
  EXPECT_EQ(nearest_sentence_end(source, {4, 10}, 0.0), 6u);
}

TEST(TextSource, StripsVerseLabelsOnly) {
  EXPECT_EQ(strip_verse_labels("Ge1:1 In the beginning.\n1Chr2:3 And: so it was.\nno label here\n"),
            "In the beginning.\nAnd: so it was.\nno label here\n");
}

TEST(FindPassage, MeetsTheCountExactlyAndEndsASentence) {
  const Tokenizer tokenizer(tiny_tokenizer_data());
  const TextSource source(sentences(200), "test");
  for (const std::int64_t wanted : {40, 97, 128, 400}) {
    Random random(static_cast<std::uint64_t>(wanted));
    const auto length = [&](Passage passage) {
      return static_cast<std::int64_t>(tokenizer.encode("x " + join_words(source, passage)).size());
    };
    const Passage passage = find_passage(source, tokenizer, random, wanted, length);
    EXPECT_EQ(length(passage), wanted);
    EXPECT_TRUE(source.words()[passage.end - 1].ends_sentence);
  }
}

TEST(FindPassage, RefusesATextThatIsTooShort) {
  const Tokenizer tokenizer(tiny_tokenizer_data());
  const TextSource source("One sentence stands here.", "short.txt");
  Random random(1);
  const auto length = [&](Passage passage) {
    return static_cast<std::int64_t>(tokenizer.encode(join_words(source, passage)).size());
  };
  EXPECT_THAT([&] { find_passage(source, tokenizer, random, 300, length); },
              ThrowsMessage<InputError>(HasSubstr("short.txt")));
}

TEST(KingJames, AMissingProgramNamesItsPackage) {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  EXPECT_THAT([] { king_james_text(); }, ThrowsMessage<InputError>(HasSubstr("bible-kjv-text")));
  ::setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace tide::testing
