// Tokenizers of Hugging Face folders: what is read, and what is refused by name. Ids are compared with
// Hugging Face's own in tests/oracle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/tokenizer.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kVocabSize = 8;

const json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
const json kBytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};

json split(const std::string& pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}
json sequence(const json& first, const json& second) {
  return {{"type", "Sequence"}, {"pretokenizers", {first, second}}};
}

/// Tokens a, b, c, ab, abc; "<e>" added; id 6 and 7 are padding of the model's vocabulary.
json sound_tokenizer() {
  return {{"added_tokens", {{{"id", 5}, {"content", "<e>"}, {"special", true}, {"lstrip", false}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", kByteLevel},
          {"post_processor", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"abc", 4}}},
            {"merges", {"a b", "ab c"}}}}};
}

class TokenizerHf : public ::testing::Test {
 protected:
  TokenizerHf() { fs::create_directories(folder_); }
  ~TokenizerHf() override { fs::remove_all(folder_); }

  void write(const char* name, const json& value) { std::ofstream(folder_ / name) << value.dump(); }
  TokenizerData read() {
    write("tokenizer.json", tokenizer_);
    return read_hf_tokenizer(folder_, kVocabSize);
  }
  std::string refusal() {
    const auto message = message_of<InputError>([&] { const Tokenizer tokenizer(read()); });
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    return message;
  }
  json& model() { return tokenizer_["model"]; }

  json tokenizer_ = sound_tokenizer();
  fs::path folder_ =
      fs::path(::testing::TempDir()) /
      ("tide_tok_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(TokenizerHf, ReadsVocabularyMergesAndMarks) {
  const TokenizerData data = read();
  EXPECT_THAT(data.tokens, ElementsAre("a", "b", "c", "ab", "abc", "<e>", "", ""));
  EXPECT_THAT(data.is_special, ElementsAre(false, false, false, false, false, true, false, false));
  EXPECT_THAT(data.merges, ElementsAre("a b", "ab c"));
  EXPECT_EQ(data.split, "gpt2");
  EXPECT_EQ(data.bos_id, -1);
  EXPECT_EQ(data.eos_id, -1);
  EXPECT_FALSE(data.add_bos || data.nfc || data.ignore_merges);
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.encode("abc<e>ba", true), ElementsAre(4, 5, 1, 0));
  EXPECT_EQ(tokenizer.vocab_size(), kVocabSize);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{4, 7, 6, 0}), "abca");
}

TEST_F(TokenizerHf, ReadsMergesAsPairs) {
  model()["merges"] = json::parse(R"([["a", "b"], ["ab", "c"]])");
  EXPECT_THAT(read().merges, ElementsAre("a b", "ab c"));
}

TEST_F(TokenizerHf, TakesAWholePieceBeforeMerging) {
  model()["merges"] = {"b c"};
  model()["vocab"] = {{"a", 0}, {"b", 1}, {"c", 2}, {"bc", 3}, {"abc", 4}};
  EXPECT_THAT(Tokenizer(read()).encode("abc"), ElementsAre(0, 3));
  model()["ignore_merges"] = true;
  EXPECT_THAT(Tokenizer(read()).encode("abc"), ElementsAre(4));
}

TEST_F(TokenizerHf, RecognisesSplitPatterns) {
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const std::string ends = R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string words = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const std::pair<json, const char*> cases[] = {
      {sequence(split(gpt2), kBytes), "gpt2"},
      {sequence(digits, kByteLevel), "smollm"},
      {sequence(split(words + R"(\p{N}{1,3}|)" + ends), kBytes), "llama3"},
      {sequence(split(words + R"(\p{N}|)" + ends), kBytes), "qwen2"}};
  for (const auto& [step, name] : cases) {
    tokenizer_["pre_tokenizer"] = step;
    EXPECT_EQ(read().split, name);
  }
}

TEST_F(TokenizerHf, ReadsTheNormalForm) {
  tokenizer_["normalizer"] = {{"type", "NFC"}};
  EXPECT_TRUE(read().nfc);
  tokenizer_["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
  EXPECT_FALSE(read().nfc);
}

TEST_F(TokenizerHf, PutsTheTokenOfItsTemplateFirst) {
  tokenizer_["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<e>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<e>", {{"id", "<e>"}, {"ids", {5}}, {"tokens", {"<e>"}}}}}}};
  const TokenizerData data = read();
  EXPECT_TRUE(data.add_bos);
  EXPECT_EQ(data.bos_id, 5);
}

TEST_F(TokenizerHf, FindsTheEndTokenInTheFirstFileThatHasOne) {
  write("tokenizer_config.json", {{"eos_token", "<e>"}, {"bos_token", {{"content", "a"}}}});
  EXPECT_EQ(read().eos_id, 5);
  EXPECT_EQ(read().bos_id, 0);
  write("config.json", {{"eos_token_id", 3}, {"bos_token_id", nullptr}});
  EXPECT_EQ(read().eos_id, 3);
  EXPECT_EQ(read().bos_id, 0);
  write("generation_config.json", {{"eos_token_id", {4, 5}}});
  EXPECT_EQ(read().eos_id, 5);
  write("tokenizer_config.json", json::object());
  EXPECT_EQ(read().eos_id, 4);
  write("generation_config.json", {{"eos_token_id", 8}});
  EXPECT_THAT(refusal(), HasSubstr("generation_config.json: eos_token_id is 8, expected ids of 0 to 7"));
}

TEST_F(TokenizerHf, FindsTheChatTemplate) {
  write("tokenizer_config.json", {{"chat_template", "one"}});
  EXPECT_EQ(read().chat_template, "one");
  write("tokenizer_config.json",
        {{"chat_template",
          {{{"name", "tool"}, {"template", "x"}}, {{"name", "default"}, {"template", "two"}}}}});
  EXPECT_EQ(read().chat_template, "two");
  std::ofstream(folder_ / "chat_template.jinja") << "three";
  EXPECT_EQ(read().chat_template, "three");
}

TEST_F(TokenizerHf, RefusesOtherModels) {
  const std::pair<json, const char*> cases[] = {
      {{{"type", "Unigram"}}, "tokenizer.json: model: type is \"Unigram\", expected 'BPE'"},
      {{{"byte_fallback", true}}, "byte_fallback is true, expected false"},
      {{{"end_of_word_suffix", "</w>"}}, "end_of_word_suffix is \"</w>\", expected none"},
      {{{"continuing_subword_prefix", "##"}}, "continuing_subword_prefix is \"##\", expected none"},
      {{{"dropout", 0.1}}, "dropout is 0.1, expected none"},
      {{{"unk_token", "a"}}, "unk_token is \"a\", expected none, as the vocabulary has no token for byte 0"},
      {{{"merges", {{"a", "b", "c"}}}}, "merge 0 is [\"a\",\"b\",\"c\"], expected"},
      {{{"merges", {"a x"}}}, "tokenizer merge 0 'a x': one of the two is no token"},
      {{{"vocab", {{"a", -1}}}}, "token 'a': id -1, expected 0 to vocab_size - 1 = 7"},
      {{{"vocab", {{"a", 8}}}}, "token 'a': id 8, expected"},
      {{{"vocab", {{"a", 1}, {"b", 1}}}}, "token 'b': its id 1 is that of 'a'"},
      {{{"vocab", {{"", 1}}}}, "a token without text"}};
  for (const auto& [edit, message] : cases) {
    tokenizer_ = sound_tokenizer();
    model().update(edit);
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesOtherSteps) {
  const std::pair<json, const char*> cases[] = {
      {{{"pre_tokenizer", nullptr}}, "pre_tokenizer is missing"},
      {{{"pre_tokenizer", {{"type", "Whitespace"}}}},
       "pre_tokenizer: type is \"Whitespace\", expected byte-level"},
      {{{"pre_tokenizer", kBytes}}, "pre_tokenizer: use_regex is false, expected true"},
      {{{"pre_tokenizer", {{"type", "ByteLevel"}}}}, "pre_tokenizer: add_prefix_space is missing"},
      {{{"pre_tokenizer", sequence(split("a+"), kBytes)}},
       "Regex: the pattern a+ is not supported; supported: those"},
      {{{"pre_tokenizer", sequence({{"type", "Punctuation"}}, kBytes)}},
       "type is \"Punctuation\", expected 'Split'"},
      {{{"normalizer", {{"type", "Lowercase"}}}}, "normalizer: type is \"Lowercase\", expected 'NFC'"},
      {{{"post_processor", {{"type", "BertProcessing"}}}},
       "post_processor: type is \"BertProcessing\", expected"},
      {{{"post_processor", {{"type", "TemplateProcessing"}, {"single", json::array()}}}},
       "single is [], expected"},
      {{{"added_tokens", {{{"id", 5}, {"content", "<e>"}, {"lstrip", true}}}}},
       "token '<e>': lstrip is true"}};
  for (const auto& [edit, message] : cases) {
    tokenizer_ = sound_tokenizer();
    tokenizer_.update(edit);
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesAGitLfsPointer) {
  std::ofstream(folder_ / "tokenizer.json") << "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
  EXPECT_THAT(message_of<InputError>([&] { read_hf_tokenizer(folder_, kVocabSize); }),
              HasSubstr("tokenizer.json: a Git LFS pointer"));
}

}  // namespace
}  // namespace tide
