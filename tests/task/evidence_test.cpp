// Which tokens of a prompt carry what is asked for.

#include "task/evidence.h"

#include <gmock/gmock.h>

#include "task/needle.h"
#include "tests/support/tiny_model.h"
#include "tests/task/sample_text.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EvidenceTest : public ::testing::Test {
 protected:
  Sample sample_of(const std::string& prompt, std::vector<std::string> answers) const {
    Sample sample;
    sample.prompt_ids = tokenizer.encode(prompt);
    sample.answers = std::move(answers);
    return sample;
  }
  std::string text_at(const Sample& sample, const std::vector<std::int32_t>& positions) const {
    std::string text;
    for (const std::int32_t position : positions)
      text += tokenizer.token_bytes(sample.prompt_ids[static_cast<std::size_t>(position)]);
    return text;
  }

  Tokenizer tokenizer{tiny_tokenizer_data()};
};

TEST_F(EvidenceTest, OfANeedleIsItsNumberAndNothingElse) {
  const auto text = std::make_shared<TextSource>(sentences(400), "test");
  const NeedleTask needle(text, true, tokenizer);
  for (const double depth : {0.0, 0.5, 1.0}) {
    const Sample sample = needle.sample({700, depth, 0, 0});
    const auto positions = evidence_positions(tokenizer, sample);
    const std::string carried = text_at(sample, positions);
    EXPECT_NE(carried.find(sample.answers.front()), std::string::npos) << carried;
    EXPECT_LE(carried.size(), sample.answers.front().size() + 2)
        << "a space or a full stop may be joined to it";
    EXPECT_EQ(positions.back() - positions.front() + 1, std::ssize(positions)) << "neighbours";
  }
}

TEST_F(EvidenceTest, IsEveryPlaceOfEveryAnswerOnce) {
  const Sample sample = sample_of("it is 41, or 97, or 41 again", {"41", "97", "1,"});
  const auto positions = evidence_positions(tokenizer, sample);
  EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
  EXPECT_EQ(std::adjacent_find(positions.begin(), positions.end()), positions.end());
  std::string carried = text_at(sample, positions);
  std::erase(carried, ' ');
  EXPECT_EQ(carried, "41,9741");
}

TEST_F(EvidenceTest, IsNothingWhereNoAnswerStandsInThePrompt) {
  EXPECT_THAT(evidence_positions(tokenizer, sample_of("it is 41", {"42", ""})), IsEmpty());
  EXPECT_THAT(evidence_positions(tokenizer, sample_of("it is 41", {})), IsEmpty());
}

TEST_F(EvidenceTest, DoesNotSeeTheNamesOfSpecialTokens) {
  Sample sample = sample_of("41", {tokenizer.token_bytes(tokenizer.eos_id())});
  sample.prompt_ids.insert(sample.prompt_ids.begin(), tokenizer.eos_id());
  EXPECT_THAT(evidence_positions(tokenizer, sample), IsEmpty());
  sample.answers = {"41"};
  EXPECT_EQ(evidence_positions(tokenizer, sample).front(), 1);
}

}  // namespace
}  // namespace tide::testing
