// The needle through the default model's own tokenizer and chat template, in the King James Bible.

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/error.h"
#include "model/gguf.h"
#include "task/task.h"

namespace tide::testing {
namespace {

class DefaultTokenizer : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("TIDEGAUGE_TEST_MODEL");
    const std::string path = named != nullptr ? named : TIDEGAUGE_TEST_MODEL;
    if (path.empty()) GTEST_SKIP() << "no default model is installed";
    tokenizer = std::make_unique<Tokenizer>(read_tokenizer(GgufFile(path)));
    try {
      needle = make_task("needle", {}, *tokenizer);
      text = make_task("text", {}, *tokenizer);
    } catch (const InputError& error) {
      GTEST_SKIP() << error.what();
    }
  }
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Task> needle, text;
};

TEST_F(DefaultTokenizer, PromptsHaveExactlyTheLengthAskedFor) {
  for (const std::int64_t length : {200, 1024, 1025, 4096}) {
    for (const double depth : {0.1, 0.9}) {
      const Sample sample = needle->sample({length, depth, 0, 0});
      EXPECT_EQ(std::ssize(sample.prompt_ids), length);
      EXPECT_EQ(tokenizer->decode(sample.answer_ids), " " + sample.answers.front());
    }
    EXPECT_EQ(std::ssize(text->sample({length, std::nullopt, 0, 0}).prompt_ids), length);
  }
}

TEST_F(DefaultTokenizer, NeedleGoesThroughTheChatTemplate) {
  const Sample sample = needle->sample({512, 0.5, 0, 0});
  const std::string prompt = tokenizer->decode(sample.prompt_ids, true);
  EXPECT_THAT(prompt, ::testing::StartsWith("<|im_start|>"));
  EXPECT_THAT(prompt, ::testing::HasSubstr("<|im_start|>assistant\nThe special magic number for "));
  EXPECT_THAT(prompt, ::testing::EndsWith(" is:"));
}

}  // namespace
}  // namespace tide::testing
