// Samples of every task on a tiny tokenizer, without a model's file.

#include "task/task.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "task/needle.h"
#include "task/plain_text.h"
#include "tests/support/tiny_model.h"
#include "tests/task/sample_text.h"

namespace tide::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TaskTest : public ::testing::Test {
 protected:
  Tokenizer tokenizer{tiny_tokenizer_data()};
  std::shared_ptr<const TextSource> text = std::make_shared<TextSource>(sentences(400), "test");
  NeedleTask needle{text, true, tokenizer};
};

TEST_F(TaskTest, NeedlePromptHasExactlyTheLengthAskedFor) {
  for (const std::int64_t length : {400, 433, 800}) {
    for (int index = 0; index < 4; ++index) {
      EXPECT_EQ(std::ssize(needle.sample({length, 0.5, index, 3}).prompt_ids), length);
    }
  }
}

TEST_F(TaskTest, NeedleStandsOnceAtTheWantedDepthBehindASentence) {
  for (const double depth : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    const Sample sample = needle.sample({1200, depth, 0, 0});
    const std::string prompt = tokenizer.decode(sample.prompt_ids);
    const std::string& number = sample.answers.front();
    EXPECT_THAT(number, ::testing::MatchesRegex("[1-9][0-9]{6}"));
    const auto at = prompt.find(number);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(prompt.find(number, at + 1), std::string::npos);
    const auto sentence = prompt.rfind("The special magic number", at);
    ASSERT_NE(sentence, std::string::npos);
    EXPECT_THAT(prompt.substr(sentence - 2, 2), ::testing::MatchesRegex("[.?!] "));
    const auto body_begin = prompt.find("\n\n") + 2, body_end = prompt.find("\n\nWhat is");
    const double share = static_cast<double>(sentence - body_begin) /
                         static_cast<double>(body_end - body_begin - (at + 9 - sentence));
    EXPECT_NEAR(share, depth, 0.06) << "within half a sentence";
  }
}

TEST_F(TaskTest, NeedleSamplesRepeatAndDiffer) {
  const SampleSpec spec{600, 0.5, 1, 7};
  const Sample first = needle.sample(spec), again = needle.sample(spec);
  EXPECT_EQ(first.prompt_ids, again.prompt_ids);
  EXPECT_EQ(first.random_seed(), again.random_seed());
  for (const SampleSpec& other :
       {SampleSpec{600, 0.5, 2, 7}, {600, 0.5, 1, 8}, {600, 0.7, 1, 7}, {601, 0.5, 1, 7}}) {
    const Sample differs = needle.sample(other);
    EXPECT_NE(differs.answers, first.answers);
    EXPECT_NE(differs.random_seed(), first.random_seed());
  }
}

TEST_F(TaskTest, NeedleAnswerFollowsThePrompt) {
  const Sample sample = needle.sample({500, 0.3, 0, 0});
  EXPECT_EQ(tokenizer.decode(sample.answer_ids), " " + sample.answers.front());
  EXPECT_THAT(tokenizer.decode(sample.prompt_ids), ::testing::EndsWith(" is:"));
  EXPECT_EQ(sample.max_new_tokens, 32);
}

TEST_F(TaskTest, NeedleIsCorrectWhenTheNumberIsASubstring) {
  const Sample sample = needle.sample({500, 0.3, 0, 0});
  const std::string& number = sample.answers.front();
  EXPECT_EQ(needle.score(sample, " It is " + number + ".").correct, true);
  EXPECT_EQ(needle.score(sample, " It is " + number.substr(0, 6) + " " + number.substr(6)).correct, false);
  EXPECT_EQ(needle.score(sample, "").score, 0.0);
}

TEST_F(TaskTest, NeedleRefusesADepthOutsideTheText) {
  EXPECT_THAT([&] { needle.sample({500, 1.5, 0, 0}); }, ThrowsMessage<InputError>(HasSubstr("depth")));
  EXPECT_THAT([&] { needle.sample({30, 0.5, 0, 0}); }, ThrowsMessage<InputError>(HasSubstr("30 tokens")));
}

TEST_F(TaskTest, PlainTextIsFollowedByItsOwnContinuation) {
  const PlainTextTask task(text, tokenizer);
  const Sample sample = task.sample({300, std::nullopt, 0, 0});
  EXPECT_EQ(sample.prompt_ids.size(), 300u);
  EXPECT_EQ(sample.answer_ids.size(), 32u);
  auto whole = sample.prompt_ids;
  whole.insert(whole.end(), sample.answer_ids.begin(), sample.answer_ids.end());
  const std::string all = join_words(*text, {0, text->words().size()});
  EXPECT_NE(all.find(tokenizer.decode(whole)), std::string::npos);
  EXPECT_FALSE(task.score(sample, "anything").correct.has_value());
  EXPECT_EQ(sample.id(), "text-300-000-seed0");
}

TEST_F(TaskTest, RegistryNamesTheNearestTask) {
  EXPECT_THAT([&] { make_task("needel", {}, tokenizer); }, ThrowsMessage<InputError>(HasSubstr("'needle'")));
  EXPECT_THAT(
      [&] {
        make_task("text", {"/nonexistent/text.txt", true}, tokenizer);
      },
      ThrowsMessage<InputError>(HasSubstr("/nonexistent/text.txt")));
}

TEST_F(TaskTest, RegistryReadsAUsersText) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "task_test_text.txt";
  std::ofstream(file) << sentences(300);
  const auto task = make_task("needle", {file, true}, tokenizer);
  EXPECT_TRUE(task->has_depth());
  EXPECT_EQ(task->sample({512, 0.5, 0, 0}).id(), "needle-512-d0.50-000-seed0");
}

}  // namespace
}  // namespace tide::testing
