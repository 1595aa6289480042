// Tokenizers of GGUF files: what is read, and what is refused by name. Ids are compared with Hugging Face's
// own and llama.cpp's in tests/oracle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "model/gguf.h"
#include "model/tokenizer.h"
#include "tests/model/gguf_builder.h"
#include "tests/support/checkpoint_checks.h"

namespace tide {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string text(std::string_view value) { return GgufBytes().u32(8).str(value).bytes; }
std::string number(std::uint32_t value) { return GgufBytes().u32(4).u32(value).bytes; }
std::string flag(bool value) { return GgufBytes().u32(7).put<std::uint8_t>(value).bytes; }
std::string texts(const std::vector<std::string>& values) {
  GgufBytes b;
  b.u32(9).u32(8).u64(values.size());
  for (const std::string& value : values) b.str(value);
  return b.bytes;
}
std::string integers(const std::vector<std::int32_t>& values) {
  GgufBytes b;
  b.u32(9).u32(5).u64(values.size());
  for (const std::int32_t value : values) b.put(value);
  return b.bytes;
}
std::string numbers(const std::vector<float>& values) {
  GgufBytes b;
  b.u32(9).u32(6).u64(values.size());
  for (const float value : values) b.put(value);
  return b.bytes;
}

/// A file's metadata, keys without "tokenizer.ggml.", values as they lie in it.
using Keys = std::map<std::string, std::string>;

/// Two ordinary tokens, an end token and a user's.
Keys byte_level() {
  return {{"model", text("gpt2")},
          {"pre", text("gpt-2")},
          {"tokens", texts({"a", "b", "<e>", "<mine>"})},
          {"merges", texts({})},
          {"token_type", integers({1, 1, 3, 4})},
          {"eos_token_id", number(2)}};
}

/// Control tokens, all bytes, then ▁, a, b, ab of falling score and an unused piece.
Keys sentencepiece() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
  }
  std::vector<float> scores(tokens.size(), 0.0f);
  for (const char* piece : {"▁", "a", "b", "ab"}) {
    tokens.emplace_back(piece);
    types.push_back(1);
    scores.push_back(scores.back() - 1);
  }
  tokens.emplace_back("aa");
  types.push_back(5);
  scores.push_back(0);
  return {{"model", text("llama")},    {"tokens", texts(tokens)},   {"token_type", integers(types)},
          {"scores", numbers(scores)}, {"bos_token_id", number(1)}, {"eos_token_id", number(2)}};
}

std::string bytes_of(const Keys& keys) {
  GgufBytes b;
  b.header(0, keys.size());
  for (const auto& [key, value] : keys)
    b.str("tokenizer." + std::string(key == "chat_template" ? "" : "ggml.") + key).raw(value);
  return b.bytes;
}

TokenizerData read(const Keys& keys) {
  const TemporaryFile file(bytes_of(keys));
  return read_tokenizer(GgufFile(file.path()));
}

std::string refusal(const Keys& keys) {
  const auto message = message_of<InputError>([&] { const Tokenizer tokenizer(read(keys)); });
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  return message;
}
std::string refusal(Keys keys, const std::string& key, const std::string& value) {
  keys[key] = value;
  return refusal(keys);
}

TEST(TokenizerGguf, ReadsVocabularyAndMarks) {
  const auto data = read(byte_level());
  EXPECT_EQ(data.split, "gpt2");
  EXPECT_THAT(data.tokens, ElementsAre("a", "b", "<e>", "<mine>"));
  EXPECT_THAT(data.is_special, ElementsAre(false, false, true, false));
  EXPECT_THAT(data.added, ElementsAre(3));
  EXPECT_EQ(data.eos_id, 2);
  EXPECT_EQ(data.bos_id, -1);
  EXPECT_FALSE(data.add_bos || data.nfc || data.ignore_merges);
}

TEST(TokenizerGguf, KnowsWhatEachPreStandsFor) {
  struct Case {
    const char *pre, *split;
    bool nfc, ignore_merges, add_bos;
  };
  for (const Case& expected :
       {Case{"gpt-2", "gpt2", false, false, false}, Case{"smollm", "smollm", false, false, false},
        Case{"llama-bpe", "llama3", false, true, true}, Case{"qwen2", "qwen2", true, false, false}}) {
    Keys keys = byte_level();
    keys["pre"] = text(expected.pre);
    keys["bos_token_id"] = number(2);
    const auto data = read(keys);
    EXPECT_EQ(data.split, expected.split);
    EXPECT_EQ(data.nfc, expected.nfc) << expected.pre;
    EXPECT_EQ(data.ignore_merges, expected.ignore_merges) << expected.pre;
    EXPECT_EQ(data.add_bos, expected.add_bos) << expected.pre;
    keys["add_bos_token"] = flag(!expected.add_bos);
    EXPECT_EQ(read(keys).add_bos, !expected.add_bos) << expected.pre;
  }
}

TEST(TokenizerGguf, ReadsSentencePiece) {
  const auto data = read(sentencepiece());
  EXPECT_EQ(data.alphabet, Alphabet::byte_fallback);
  EXPECT_EQ(data.space_prefix, SpacePrefix::always);
  EXPECT_TRUE(data.strips_space && data.add_bos && data.is_special[0] && data.is_special[1]);
  EXPECT_EQ(data.scores[262], -4.0f);
  EXPECT_TRUE(std::isinf(data.scores[1]) && std::isinf(data.scores[3]) && std::isinf(data.scores[263]));
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.encode("ab"), ElementsAre(259, 262));
  EXPECT_THAT(tokenizer.encode("aa"), ElementsAre(259, 260, 260));  // nothing becomes an unused piece
  EXPECT_THAT(tokenizer.encode("<s>b", true), ElementsAre(1, 259, 261));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a b\xff é")), "a b\xff é");
}

TEST(TokenizerGguf, SentencePieceMayLeaveTheFirstSpaceOut) {
  Keys keys = sentencepiece();
  keys["add_space_prefix"] = flag(false);
  const auto data = read(keys);
  EXPECT_EQ(data.space_prefix, SpacePrefix::none);
  EXPECT_FALSE(data.strips_space);
  EXPECT_THAT(Tokenizer(data).encode("ab"), ElementsAre(262));
}

TEST(TokenizerGguf, RefusesOtherModels) {
  for (const char* model : {"bert", "t5", "rwkv", "no_vocab", ""}) {
    EXPECT_THAT(
        refusal(byte_level(), "model", text(model)),
        HasSubstr(fmt::format("tokenizer.ggml.model: '{}' is not supported; supported: gpt2 (byte-level "
                              "BPE) and llama (SentencePiece BPE with byte fallback)",
                              model)));
  }
}

TEST(TokenizerGguf, RefusesOtherSplitPatterns) {
  for (const char* pre : {"default", "deepseek-llm", "tekken"}) {
    EXPECT_THAT(
        refusal(byte_level(), "pre", text(pre)),
        HasSubstr(fmt::format("tokenizer.ggml.pre: split pattern '{}' is not supported; supported: gpt-2, "
                              "smollm, llama-bpe, qwen2",
                              pre)));
  }
}

TEST(TokenizerGguf, RefusesMissingKeys) {
  for (const auto& [keys, required] :
       {std::pair{byte_level(), std::vector<std::string>{"model", "pre", "tokens", "merges", "token_type"}},
        std::pair{sentencepiece(), std::vector<std::string>{"model", "tokens", "scores", "token_type"}}}) {
    for (const std::string& key : required) {
      Keys without = keys;
      without.erase(key);
      EXPECT_THAT(refusal(without), HasSubstr("no metadata key tokenizer.ggml." + key));
    }
  }
}

TEST(TokenizerGguf, RefusesMistypedKeys) {
  const auto expect = [](const Keys& keys, const std::string& key, const std::string& kind) {
    const std::string wrong = kind == "a string" ? number(1) : text("x");
    EXPECT_THAT(refusal(keys, key, wrong), HasSubstr(key + ": " + kind + " expected, found "));
  };
  for (const char* key : {"model", "pre", "chat_template"}) expect(byte_level(), key, "a string");
  for (const char* key : {"tokens", "merges"}) expect(byte_level(), key, "an array of strings");
  expect(byte_level(), "token_type", "an array of integers");
  for (const char* key : {"bos_token_id", "eos_token_id"}) expect(byte_level(), key, "an integer");
  expect(byte_level(), "add_bos_token", "a boolean");
  expect(sentencepiece(), "scores", "an array of floating-point numbers");
  for (const char* key : {"add_space_prefix", "remove_extra_whitespaces"}) {
    expect(sentencepiece(), key, "a boolean");
  }
}

TEST(TokenizerGguf, RefusesTypesAndScoresThatDoNotMatchTheTokens) {
  EXPECT_THAT(refusal(byte_level(), "token_type", integers({1, 1})),
              HasSubstr("tokenizer.ggml.token_type: 4 types expected, one a token, got 2"));
  for (const int type : {0, 7, -1}) {
    EXPECT_THAT(
        refusal(byte_level(), "token_type", integers({1, type, 3, 4})),
        HasSubstr(fmt::format("tokenizer.ggml.token_type: type {} of token 1, expected 1 to 6", type)));
  }
  EXPECT_THAT(refusal(sentencepiece(), "scores", numbers({1, 2})),
              HasSubstr("tokenizer.ggml.scores: 264 scores expected, one a token, got 2"));
  std::vector<float> scores(264, 0.0f);
  for (const float wrong : {std::nanf(""), INFINITY, -INFINITY}) {
    scores[261] = wrong;
    EXPECT_THAT(refusal(sentencepiece(), "scores", numbers(scores)),
                HasSubstr("of token 261, a finite number"));
  }
}

TEST(TokenizerGguf, RefusesIdsOutsideTheVocabulary) {
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    EXPECT_THAT(refusal(byte_level(), key, number(4)),
                HasSubstr(fmt::format("tokenizer.ggml.{}: a token id below 4 expected, got 4", key)));
  }
  EXPECT_THAT(refusal(byte_level(), "add_bos_token", flag(true)),
              HasSubstr("add_bos is set, but there is no bos id"));
}

TEST(TokenizerGguf, RefusesRepeatedAndNamelessTokens) {
  EXPECT_THAT(refusal(byte_level(), "tokens", texts({"a", "a", "<e>", "<mine>"})),
              HasSubstr("tokenizer token 1 'a': the same token is 0"));
  EXPECT_THAT(refusal(byte_level(), "tokens", texts({"a", "b", "", "<mine>"})),
              HasSubstr("tokenizer token 2: a special token without a name"));
  EXPECT_THAT(refusal(byte_level(), "tokens", texts({})), HasSubstr("0 types expected"));
}

TEST(TokenizerGguf, RefusesUnsoundMerges) {
  EXPECT_THAT(refusal(byte_level(), "merges", texts({"a b"})), HasSubstr("the two joined are no token"));
  EXPECT_THAT(refusal(byte_level(), "merges", texts({"a z"})), HasSubstr("one of the two is no token"));
  EXPECT_THAT(refusal(byte_level(), "merges", texts({"ab"})), HasSubstr("two tokens with one space"));
}

TEST(TokenizerGguf, RefusesSentencePieceWithoutAllBytes) {
  Keys keys = sentencepiece();
  auto& tokens = keys["tokens"];
  tokens.replace(tokens.find("<0x0A>"), 6, "<0xZZ>");
  EXPECT_THAT(refusal(keys), HasSubstr("no token <0x0A>; byte fallback needs one for each of the 256 bytes"));
}

TEST(TokenizerGguf, RefusesNormalFormsOfSentencePiece) {
  EXPECT_THAT(refusal(sentencepiece(), "precompiled_charsmap", GgufBytes().u32(9).u32(0).u64(0).bytes),
              HasSubstr("tokenizer.ggml.precompiled_charsmap: normal forms are not supported"));
  EXPECT_THAT(refusal(sentencepiece(), "remove_extra_whitespaces", flag(true)),
              HasSubstr("tokenizer.ggml.remove_extra_whitespaces is true, supported is false"));
}

TEST(TokenizerGguf, NoSingleChangedByteCrashesIt) {
  const auto why = [](const std::string& bytes) {
    const TemporaryFile file(bytes);
    return message_of<InputError>([&] {
      const Tokenizer tokenizer(read_tokenizer(GgufFile(file.path())));
      tokenizer.decode(tokenizer.encode("ab <e> <mine> é\xff", true), true);
    });
  };
  Keys keys = byte_level();
  keys["tokens"] = texts({"a", "b", "<e>", "<mine>", "ab"});
  keys["token_type"] = integers({1, 1, 3, 4, 1});
  keys["merges"] = texts({"a b"});
  ASSERT_EQ(why(bytes_of(keys)), "");
  EXPECT_GT(testing::refused_changes(bytes_of(keys), why), 300);
  EXPECT_GT(testing::refused_changes(bytes_of(sentencepiece()), why), 3000);
}

}  // namespace
}  // namespace tide
