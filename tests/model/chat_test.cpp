#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/tokenizer_chat.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

// What chatml templates look like: with a default message in one literal, with a branch, with none.
constexpr const char* kFirstTurn =
    R"({% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nBe "kind".<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %})";
constexpr const char* kBranch =
    R"({%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{%- else %}{{- "<|im_start|>system\nIt's me.\nHere.<|im_end|>\n" }}{%- endif %})";
constexpr const char* kNone =
    R"({% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %})";

const std::vector<ChatMessage> kUser = {{"user", "Hi"}};

TEST(Chat, FindsDefaultSystemMessage) {
  EXPECT_THAT(default_system_message(kFirstTurn), Optional(std::string("Be \"kind\".")));
  EXPECT_THAT(default_system_message(kBranch), Optional(std::string("It's me.\nHere.")));
  EXPECT_EQ(default_system_message(kNone), std::nullopt);
  EXPECT_EQ(default_system_message(""), std::nullopt);
}

TEST(Chat, FindsDefaultOutsideLiterals) {
  EXPECT_THAT(default_system_message("{% if x %}<|im_start|>system\nPlain.<|im_end|>\n{% endif %}"),
              Optional(std::string("Plain.")));
  EXPECT_EQ(default_system_message("<|im_start|>system\n{{ system }}<|im_end|>\n"), std::nullopt);
}

TEST(Chat, RendersTurnsAndTheBeginningOfTheAnswer) {
  EXPECT_EQ(render_chat(kNone, kUser, ""), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  const std::vector<ChatMessage> turns = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  EXPECT_EQ(
      render_chat(kNone, turns, "It is"),
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
      "<|im_start|>assistant\nIt is");
}

TEST(Chat, AddsTheDefaultOnlyWithoutASystemMessage) {
  EXPECT_THAT(render_chat(kFirstTurn, kUser, ""),
              HasSubstr("<|im_start|>system\nBe \"kind\".<|im_end|>\n<|im_start|>user"));
  const std::vector<ChatMessage> given = {{"system", "Own."}, {"user", "Hi"}};
  EXPECT_EQ(render_chat(kFirstTurn, given, ""),
            "<|im_start|>system\nOwn.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Chat, RefusesOtherFamiliesAndRoles) {
  const auto refusal = [](std::string_view chat_template, const std::vector<ChatMessage>& messages) {
    return message_of<InputError>([&] { render_chat(chat_template, messages, ""); });
  };
  EXPECT_THAT(refusal("", kUser), HasSubstr("no chat template"));
  EXPECT_THAT(refusal("[INST] {{ x }} [/INST]", kUser), HasSubstr("of no known family; supported: chatml"));
  EXPECT_THAT(refusal(kNone, {}), HasSubstr("at least one message"));
  EXPECT_THAT(refusal(kNone, {{"tool", "x"}}), HasSubstr("chat role 'tool'"));
}

TEST(Chat, RefusesVocabularyWithoutTheFamilysTokens) {
  TokenizerData data{
      .tokens = {"a"}, .merges = {}, .is_special = {false}, .split = "gpt2", .chat_template = kNone};
  const Tokenizer tokenizer(std::move(data));
  EXPECT_THAT(message_of<InputError>([&] { tokenizer.encode_chat(kUser); }),
              HasSubstr("no special token <|im_start|>"));
}

}  // namespace
}  // namespace tide
