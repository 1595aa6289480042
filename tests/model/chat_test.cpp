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
              HasSubstr("made of <|im_start|>, but the vocabulary has no such special token"));
}

// Turns of the other families; tests/oracle has whole templates of them, run by transformers.
constexpr const char* kLlama2 =
    R"({% set x = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{{ ' ' + content.strip() + ' ' + eos_token }})";
constexpr const char* kMistral =
    R"({{ bos_token }}{{ '[INST] ' + message.content + ' [/INST]' }}{{ message.content + eos_token }})";
constexpr const char* kLlama3 =
    R"({{ bos_token }}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})";

const EndTokens kTokens = {"<s>", "</s>"};

TEST(Chat, IsRecognisedByItsTurns) {
  EXPECT_EQ(chat_family(ChatTemplate(kNone)), ChatFamily::chatml);
  EXPECT_EQ(chat_family(ChatTemplate(kLlama2)), ChatFamily::llama2);
  EXPECT_EQ(chat_family(ChatTemplate(kMistral)), ChatFamily::mistral);
  EXPECT_EQ(chat_family(ChatTemplate(kLlama3)), ChatFamily::llama3);
  const std::string thoughtful = std::string(kNone) + "{% if '</think>' in message.content %}{% endif %}";
  EXPECT_EQ(chat_family(ChatTemplate(thoughtful)), ChatFamily::qwen);
}

TEST(Chat, RendersTheOtherFamilies) {
  const std::vector<ChatMessage> turns = {
      {"system", "s"}, {"user", " a "}, {"assistant", " b "}, {"user", "c"}};
  EXPECT_EQ(render_chat(kLlama2, turns, "!", kTokens),
            "<s>[INST] <<SYS>>\ns\n<</SYS>>\n\n a [/INST] b </s><s>[INST] c [/INST]!");
  EXPECT_EQ(render_chat(kMistral, std::span(turns).subspan(1), "", kTokens),
            "<s>[INST]  a  [/INST] b </s>[INST] c [/INST]");
  EXPECT_EQ(render_chat(kLlama3, std::span(turns).subspan(2), "", kTokens),
            "<s><|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|><|start_header_id|>user"
            "<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(Chat, RefusesWhatAFamilyDoesNotTake) {
  const auto refusal = [](std::string_view chat_template, const std::vector<ChatMessage>& messages,
                          const EndTokens& tokens = kTokens) {
    return message_of<InputError>([&] { render_chat(chat_template, messages, "", tokens); });
  };
  EXPECT_THAT(refusal(kLlama2, {{"assistant", "x"}}),
              HasSubstr("chat message 1: role 'assistant', expected 'user': in llama-2 templates"));
  EXPECT_THAT(refusal(kMistral, {{"user", "x"}, {"user", "y"}}),
              HasSubstr("chat message 2: role 'user', expected 'assistant': in mistral templates"));
  EXPECT_THAT(refusal(kLlama2, {{"system", "x"}}), HasSubstr("a user's message expected"));
  EXPECT_THAT(refusal(kMistral, {{"system", "x"}, {"user", "y"}}), HasSubstr("takes no system message"));
  EXPECT_THAT(refusal(kLlama2, kUser, {}), HasSubstr("the chat template needs bos_token"));
}

TEST(Chat, RefusesTemplatesThatAreOnlyAlmostOfAFamily) {
  const auto refused = [](std::string chat_template) {
    return message_of<InputError>([&] { render_chat(chat_template, kUser, "", kTokens); });
  };
  EXPECT_THAT(refused(std::string("Text. ") + kMistral), HasSubstr("of no known family"));
  EXPECT_THAT(refused(std::string("{{ bos_token }}\n") + kLlama3), HasSubstr("of no known family"));
  EXPECT_THAT(refused(std::string("{% set system_message = 'Own.' %}") + kMistral),
              HasSubstr("of no known family"));
  EXPECT_THAT(refused(std::string(kMistral) + "{{ '[SYSTEM_PROMPT]' }}"), HasSubstr("of no known family"));
  EXPECT_THAT(refused("{{ bos_token }}{{ '[INST]: ' + message.content + '[/INST]' }}"),
              HasSubstr("spells its turns in an unknown way"));
  EXPECT_THAT(refused(std::string(kLlama3) + "{{ 'Cutting Knowledge Date: today' }}"),
              HasSubstr("names a date in a way that is not known"));
  EXPECT_THAT(refused("{{ '<|im_start|>' + message.role }}"), HasSubstr("of no known family"));
}

TEST(ChatTemplate, KeepsTheTextThatJinjaKeeps) {
  const auto text = [](std::string_view source) { return ChatTemplate(source).text_between_tags(); };
  EXPECT_EQ(text("a{{ b }}c"), "ac");
  EXPECT_EQ(text("{% if x %}\n  {% endif %}\n"), "");
  EXPECT_EQ(text("{{ x }}\n{% endif %}"), "\n");
  EXPECT_EQ(text("{{ x }} \n\n{%- endif %}"), "");
  EXPECT_EQ(text("{{ x -}} \n y {%- endif %}"), "y");
  EXPECT_EQ(text("{# it's #}\n{{ '}}' }}"), "");
  EXPECT_EQ(text("{{ x"), "");
  EXPECT_EQ(text("{"), "{");
}

TEST(ChatTemplate, TakesAnyText) {
  const std::string whole = std::string(kLlama2) + kBranch + "{#- '}} #}{%+ set a = \"\\\\\" -%}" + kLlama3;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'{', '}', '\'', '"', '\\', '-', '%', '\n', '\x80'}) {
      std::string changed = whole;
      changed[i] = c;
      for (const std::string& text : {changed, changed.substr(0, i + 1), changed.substr(i)}) {
        const ChatTemplate parsed(text);
        EXPECT_LE(parsed.text_between_tags().size(), text.size());
        parsed.literal("C");
        parsed.variable("a");
        message_of<InputError>([&] { chat_family(parsed); });
      }
    }
  }
}

TEST(ChatTemplate, HasOneSpellingOfAnExpression) {
  const ChatTemplate spelled("{{- \"a\\n\" + message[\"content\"] | trim -}}{% set d = 'x y' %}{{ 'a\nb' }}");
  EXPECT_TRUE(spelled.has("{{'a\\n'+message.content|trim}}"));
  EXPECT_TRUE(spelled.has("{{'a\\nb'}}"));
  EXPECT_EQ(spelled.variable("d"), "x y");
  EXPECT_EQ(spelled.variable("e"), std::nullopt);
  EXPECT_EQ(spelled.literal("x"), "x y");
}

TEST(ChatTemplate, StripsWhatPythonStrips) {
  EXPECT_EQ(stripped(" \t\u00a0\u3000a b\u2003\x1f\n"), "a b");
  EXPECT_EQ(stripped("\u200b"), "\u200b");  // no white space to Python
  EXPECT_EQ(stripped(" \n"), "");
}

}  // namespace
}  // namespace tide
