#include "model/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "model/gguf.h"
#include "model/tokenizer_bytes.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int32_t kFirstSpecial = 256;

/// 256 byte tokens (id = byte), three special tokens, then a token a merge.
TokenizerData small_vocabulary(const std::string& split = "gpt2") {
  TokenizerData data;
  for (int byte = 0; byte < 256; ++byte)
    data.tokens.push_back(alphabet_character(static_cast<std::uint8_t>(byte)));
  data.tokens.insert(data.tokens.end(), {"<|im_start|>", "<|im_end|>", "<|im_end|><|"});
  data.is_special.assign(256, false);
  data.is_special.insert(data.is_special.end(), 3, true);
  data.merges = {"b c", "a b", "a bc", "Ġ a", "Ġ Ġ", "1 2", "Ã ¤"};
  for (const char* token : {"bc", "ab", "abc", "Ġa", "ĠĠ", "12", "Ã¤"}) {
    data.tokens.emplace_back(token);
    data.is_special.push_back(false);
  }
  data.split = split;
  data.bos_id = kFirstSpecial;
  data.eos_id = kFirstSpecial + 1;
  return data;
}

enum Merged : std::int32_t { kBc = 259, kAb, kAbc, kSpaceA, kTwoSpaces, kTwelve, kUmlaut, kUmlautEnd };

std::string refusal(TokenizerData data) {
  return message_of<InputError>([&] { const Tokenizer tokenizer(std::move(data)); });
}

TEST(Tokenizer, MergesByRankNotByPosition) {
  const Tokenizer tokenizer(small_vocabulary());
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(kAbc));  // b+c first, then a+bc; never ab+c
  EXPECT_THAT(tokenizer.encode("abab"), ElementsAre(kAb, kAb));
  EXPECT_THAT(tokenizer.encode("bcb"), ElementsAre(kBc, 'b'));
}

TEST(Tokenizer, MergesLeftmostFirstAmongEquals) {
  auto data = small_vocabulary();
  data.merges.emplace_back("x x");
  data.tokens.emplace_back("xx");
  data.is_special.push_back(false);
  const Tokenizer tokenizer(std::move(data));
  EXPECT_THAT(tokenizer.encode("xxx"), ElementsAre(kUmlaut + 1, 'x'));
}

TEST(Tokenizer, PairThatHasChangedWaitsForItsOwnRank) {
  auto data = small_vocabulary();
  data.merges = {"b c", "a b", "bc d", "a bc"};
  data.tokens.emplace_back("bcd");
  data.is_special.push_back(false);
  const Tokenizer tokenizer(std::move(data));
  EXPECT_THAT(tokenizer.encode("abcd"), ElementsAre('a', kUmlaut + 1));  // not abc + d at the rank of a + b
}

TEST(Tokenizer, NeverMergesAcrossPieces) {
  const Tokenizer tokenizer(small_vocabulary());
  EXPECT_THAT(tokenizer.encode("x abc"), ElementsAre('x', ' ', kAbc));  // abc outranks Ġa inside one piece
  EXPECT_THAT(tokenizer.encode("x   a"), ElementsAre('x', kTwoSpaces, kSpaceA));
  EXPECT_THAT(tokenizer.encode("b!c"), ElementsAre('b', '!', 'c'));
}

TEST(Tokenizer, SmollmKeepsEveryDigitAlone) {
  EXPECT_THAT(Tokenizer(small_vocabulary("gpt2")).encode(" 12"), ElementsAre(' ', kTwelve));
  EXPECT_THAT(Tokenizer(small_vocabulary("smollm")).encode(" 12"), ElementsAre(' ', '1', '2'));
}

TEST(Tokenizer, SmollmKeepsSpacesBeforeADigitTogether) {
  EXPECT_THAT(Tokenizer(small_vocabulary("smollm")).encode("  1"), ElementsAre(kTwoSpaces, '1'));
  EXPECT_THAT(Tokenizer(small_vocabulary("gpt2")).encode("  1"), ElementsAre(' ', ' ', '1'));
}

TEST(Tokenizer, SpecialNamesAreTextUnlessAsked) {
  const Tokenizer tokenizer(small_vocabulary());
  EXPECT_EQ(tokenizer.encode("<|im_end|>").size(), 10u);
  EXPECT_THAT(tokenizer.encode("x<|im_end|>y", true), ElementsAre('x', kFirstSpecial + 1, 'y'));
}

TEST(Tokenizer, LongestSpecialNameWins) {
  const Tokenizer tokenizer(small_vocabulary());
  EXPECT_THAT(tokenizer.encode("<|im_end|><|", true), ElementsAre(kFirstSpecial + 2));
  EXPECT_THAT(tokenizer.encode("<|im_end|><", true), ElementsAre(kFirstSpecial + 1, '<'));
}

TEST(Tokenizer, AddedNamesAreFoundInAnyTextAndStayInAnswers) {
  auto data = small_vocabulary();
  data.is_special[kFirstSpecial + 2] = false;
  data.added = {kFirstSpecial + 2};
  const Tokenizer tokenizer(std::move(data));
  for (const bool parse_special : {false, true}) {
    EXPECT_THAT(tokenizer.encode("x<|im_end|><|y", parse_special), ElementsAre('x', kFirstSpecial + 2, 'y'));
  }
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kFirstSpecial + 1, kFirstSpecial + 2}),
            "<|im_end|><|");
}

TEST(Tokenizer, APromptBeginsWithTheFirstTokenWhereOneIsAsked) {
  auto data = small_vocabulary();
  EXPECT_THAT(Tokenizer(data).encode_prompt("abc"), ElementsAre(kAbc));
  data.add_bos = true;
  const Tokenizer tokenizer(std::move(data));
  EXPECT_THAT(tokenizer.encode_prompt("abc"), ElementsAre(kFirstSpecial, kAbc));
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(kAbc));
}

TEST(Tokenizer, ANameThatIsTextHidesThoseInsideIt) {
  auto data = small_vocabulary();
  data.tokens.emplace_back("im_end");
  data.is_special.push_back(false);
  data.added = {kUmlautEnd};
  const Tokenizer tokenizer(std::move(data));
  EXPECT_EQ(tokenizer.encode("<|im_end|>").size(), 10u);
  EXPECT_THAT(tokenizer.encode("im_end|>"), ElementsAre(kUmlautEnd, '|', '>'));
}

TEST(Tokenizer, DecodeGivesBytesAndHidesSpecialTokens) {
  const Tokenizer tokenizer(small_vocabulary());
  const std::vector<std::int32_t> ids = {kFirstSpecial, kUmlaut, kSpaceA, 0x80};
  EXPECT_EQ(tokenizer.decode(ids), "ä a\x80");
  EXPECT_EQ(tokenizer.decode(ids, true), "<|im_start|>ä a\x80");
  EXPECT_EQ(tokenizer.token_bytes(kSpaceA), " a");
  EXPECT_TRUE(tokenizer.is_special(kFirstSpecial));
  EXPECT_FALSE(tokenizer.is_special(kUmlaut));
}

TEST(Tokenizer, AConversationNeedsTheTokensOfItsTurns) {
  const std::vector<ChatMessage> messages = {{"user", "a"}};
  auto data = small_vocabulary();
  data.chat_template = "<|im_start|>";
  const auto ids = Tokenizer(data).encode_chat(messages);
  data.normalised_names = {kFirstSpecial + 1};
  EXPECT_EQ(Tokenizer(data).encode_chat(messages), ids);
  data.tokens[kFirstSpecial + 1] = "<|other|>";
  EXPECT_THAT(message_of<InputError>([&] { Tokenizer(data).encode_chat(messages); }),
              HasSubstr("<|im_end|>"));
}

TEST(Tokenizer, EmptyTextGivesNothing) {
  EXPECT_THAT(Tokenizer(small_vocabulary()).encode("", true), IsEmpty());
}

TEST(Tokenizer, BytesThatAreNotUtf8ComeBack) {
  const Tokenizer tokenizer(small_vocabulary());
  for (const std::string text : {"\xff\xfe", "ab\xc3",
                                 "\xe4\xbd"
                                 "abc",
                                 "\xed\xa0\x80", "\xc0\x80x", "\xf5 a\xf0\x9f"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, ByteWithoutTokenGivesNothing) {
  auto data = small_vocabulary();
  data.tokens[0x04] = "unused-4";
  const Tokenizer tokenizer(std::move(data));
  EXPECT_THAT(tokenizer.encode("x\x04y"), ElementsAre('x', 'y'));
}

TEST(Tokenizer, LongPieceIsMergedQuickly) {
  const Tokenizer tokenizer(small_vocabulary());
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "abc";
  const auto ids = tokenizer.encode(text);  // quadratic work would outlast the test's time
  EXPECT_EQ(ids, std::vector<std::int32_t>(300000, kAbc));
}

TEST(Tokenizer, RefusesUnsoundVocabularies) {
  auto data = small_vocabulary();
  data.merges.emplace_back("z z");
  EXPECT_THAT(refusal(data), HasSubstr("merge 7 'z z': the two joined are no token"));
  data.merges.back() = "nothing a";
  EXPECT_THAT(refusal(data), HasSubstr("merge 7 'nothing a': one of the two is no token"));
  data.merges.back() = "ab";
  EXPECT_THAT(refusal(data), HasSubstr("two tokens with one space between them expected"));
  data.merges.back() = "a b";
  EXPECT_THAT(refusal(data), HasSubstr("the same merge stands earlier"));
  data = small_vocabulary();
  data.tokens.back() = "ab";
  EXPECT_THAT(refusal(data), HasSubstr("token 265 'ab': the same token is 260"));
  data = small_vocabulary("llama-bpe");
  EXPECT_THAT(refusal(data),
              HasSubstr("split pattern 'llama-bpe' is not supported; supported: gpt2, smollm"));
  data = small_vocabulary();
  data.eos_id = 4096;
  EXPECT_THAT(refusal(data), HasSubstr("eos id 4096"));
  data = small_vocabulary();
  data.tokens[kFirstSpecial] = "";
  EXPECT_THAT(refusal(data), HasSubstr("a special token without a name"));
  data = small_vocabulary();
  data.is_special.pop_back();
  EXPECT_THAT(refusal(data), HasSubstr("266 tokens, but 265 marks"));
  data = small_vocabulary();
  data.added = {266};
  EXPECT_THAT(refusal(data), HasSubstr("id 266 of a token found by name: 0 to 265 expected"));
  data = small_vocabulary();
  data.scores = {1.0f};
  EXPECT_THAT(refusal(data), HasSubstr("266 tokens, but 1 scores"));
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  const Tokenizer tokenizer(small_vocabulary());
  EXPECT_THAT(message_of<InputError>([&] { tokenizer.token_bytes(266); }),
              HasSubstr("token id 266: 0 to 265"));
  EXPECT_THAT(message_of<InputError>([&] { tokenizer.decode(std::vector<std::int32_t>{-1}); }),
              HasSubstr("token id -1"));
}

/// The default model of the private environment; skips the test when it is not there.
#define NEEDS_DEFAULT_MODEL(path)                         \
  const char* path = std::getenv("TIDEGAUGE_TEST_MODEL"); \
  if (path == nullptr || *path == '\0') GTEST_SKIP() << "no default model"

TEST(DefaultModel, EncodesKnownText) {
  NEEDS_DEFAULT_MODEL(path);
  const Tokenizer tokenizer(read_tokenizer(GgufFile(path)));
  EXPECT_EQ(tokenizer.vocab_size(), 49152);
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_FALSE(tokenizer.add_bos());
  const std::string text = "In the beginning God created the heaven and the earth. 1 + 1 = 2";
  const auto ids = tokenizer.encode(text);
  EXPECT_LT(ids.size(), 24u);
  EXPECT_EQ(tokenizer.decode(ids), text);
}

TEST(DefaultModel, AddsItsSystemMessage) {
  NEEDS_DEFAULT_MODEL(path);
  const Tokenizer tokenizer(read_tokenizer(GgufFile(path)));
  const std::vector<ChatMessage> messages = {{"user", "Hi"}};
  EXPECT_EQ(
      tokenizer.decode(tokenizer.encode_chat(messages, "Yes"), true),
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
      "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes");
}

}  // namespace
}  // namespace tide
