// Tokenizers of Hugging Face folders: what is read, and what is refused by name. Ids are compared with
// Hugging Face's own in tests/oracle.

#include "tests/model/tokenizer_hf_fixture.h"
#include "tests/support/checkpoint_checks.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const json kBytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};

json split(const std::string& pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}
json sequence(const json& first, const json& second) {
  return {{"type", "Sequence"}, {"pretokenizers", {first, second}}};
}

TEST_F(TokenizerHf, ReadsVocabularyMergesAndMarks) {
  const TokenizerData data = read();
  EXPECT_THAT(data.tokens, ElementsAre("a", "b", "c", "ab", "abc", "<e>", "", ""));
  EXPECT_THAT(data.is_special, ElementsAre(false, false, false, false, false, true, false, false));
  EXPECT_THAT(data.merges, ElementsAre("a b", "ab c"));
  EXPECT_EQ(data.split, "gpt2");
  EXPECT_EQ(data.bos_id, -1);
  EXPECT_EQ(data.eos_id, -1);
  EXPECT_FALSE(data.add_bos || data.nfc || data.ignore_merges);
  EXPECT_THAT(data.added, IsEmpty());
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
      {{{"type", "Unigram"}},
       "tokenizer.json: model: type is \"Unigram\", expected 'BPE' (byte-level, or with byte fallback)"},
      {{{"type", "WordPiece"}}, "type is \"WordPiece\", expected 'BPE'"},
      {{{"type", 1}}, "model: type is 1, expected a string"},
      {{{"type", nullptr}}, "model: type is missing"},
      {{{"byte_fallback", 1}}, "byte_fallback is 1, expected true or false"},
      {{{"end_of_word_suffix", "</w>"}}, "end_of_word_suffix is \"</w>\", expected none"},
      {{{"continuing_subword_prefix", "##"}}, "continuing_subword_prefix is \"##\", expected none"},
      {{{"dropout", 0.1}}, "dropout is 0.1, expected none"},
      {{{"unk_token", "a"}}, "unk_token is \"a\", expected none, as the vocabulary has no token for byte 0"},
      {{{"ignore_merges", "yes"}}, "ignore_merges is \"yes\", expected true or false"}};
  for (const auto& [edit, message] : cases) {
    tokenizer_ = sound_tokenizer();
    model().update(edit);
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesUnsoundIds) {
  const std::pair<json, const char*> cases[] = {
      {{{"a", -1}}, "token 'a': id -1, expected 0 to vocab_size - 1 = 7"},
      {{{"a", 8}}, "token 'a': id 8, expected"},
      {{{"a", 1.5}}, "token 'a': id 1.5, expected"},
      {{{"a", "1"}}, "token 'a': id \"1\", expected"},
      {{{"a", nullptr}}, "token 'a': id null, expected"},
      {{{"a", true}}, "token 'a': id true, expected"},
      {{{"a", json::array()}}, "token 'a': id [], expected"},
      {{{"a", 18446744073709551615u}}, "token 'a': id 18446744073709551615, expected"},
      {{{"a", 1}, {"b", 1}}, "token 'b': its id 1 is that of 'a'"},
      {{{"", 1}}, "a token without text"},
      {json::array(), "model: vocab is [], expected an object"},
      {nullptr, "model: vocab is missing"}};
  for (const auto& [vocabulary, message] : cases) {
    model()["vocab"] = vocabulary;
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesUnsoundAddedTokens) {
  const auto added = [](const json& id, const json& content = "<e>") {
    return json::array({{{"id", id}, {"content", content}, {"special", true}}});
  };
  const std::pair<json, const char*> cases[] = {
      {added(8), "token '<e>': id 8, expected 0 to vocab_size - 1 = 7"},
      {added(-1), "token '<e>': id -1, expected"},
      {added(nullptr), "id is missing"},
      {added(0), "token '<e>': its id 0 is that of 'a'"},
      {added(5, "a"), "tokenizer token 5 'a': the same token is 0"},
      {added(5, ""), "a token without text"},
      {added(5, nullptr), "content is missing"},
      {added(5, 1), "content is 1, expected a string"},
      {json::array({1}), "added_tokens: an object expected, found 1"},
      {1, "added_tokens is 1, expected an array"}};
  for (const auto& [tokens, message] : cases) {
    tokenizer_["added_tokens"] = tokens;
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesUnsoundMerges) {
  const std::pair<json, const char*> cases[] = {
      {{{"a", "b", "c"}}, "merge 0 is [\"a\",\"b\",\"c\"], expected \"left right\" or [\"left\", \"right\"]"},
      {{"a b", 1}, "merge 1 is 1, expected"},
      {json::array({json::array({"a", 1})}), "merge 0 is [\"a\",1], expected"},
      {{"a x"}, "tokenizer merge 0 'a x': one of the two is no token"},
      {{"a c"}, "tokenizer merge 0 'a c': the two joined are no token"},
      {{"a b", "ab c", "a b"}, "tokenizer merge 2 'a b': the same merge stands earlier"},
      {{"ab"}, "merge 0 'ab': two tokens with one space between them expected"},
      {{"a b c"}, "merge 0 'a b c': two tokens with one space between them expected"},
      {"a b", "merges is \"a b\", expected an array"},
      {nullptr, "merges is missing"}};
  for (const auto& [merges, message] : cases) {
    model()["merges"] = merges;
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, RefusesOtherPatterns) {
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const auto with = [&](const char* key, const json& value) {
    json step = split(gpt2);
    step[key] = value;
    return sequence(step, kBytes);
  };
  const std::pair<json, const char*> cases[] = {
      {sequence(split("a+"), kBytes),
       "Regex: the pattern a+ is not supported; supported: those of GPT-2, Llama-3 and Qwen2"},
      {sequence(split(gpt2 + "|x"), kBytes), "is not supported; supported: those"},
      {sequence(split("["), kBytes), "Regex: the pattern [ is not supported"},
      {sequence(split(""), kBytes), "Regex: the pattern  is not supported"},
      {with("pattern", {{"String", " "}}), "pattern: Regex is missing"},
      {with("pattern", "a+"), "pattern is \"a+\", expected an object"},
      {with("behavior", "Removed"), "behavior is \"Removed\", expected 'Isolated'"},
      {with("invert", true), "invert is true, expected false"},
      {sequence(split(gpt2), kByteLevel), "use_regex is true, expected false"},
      {sequence(split(gpt2), split(gpt2)), "type is \"Split\", expected byte-level"},
      {{{"type", "Sequence"}, {"pretokenizers", json::array()}}, "pre_tokenizer is {"},
      {sequence({{"type", "Digits"}, {"individual_digits", false}}, kByteLevel),
       "individual_digits is false, expected true"}};
  for (const auto& [step, message] : cases) {
    tokenizer_["pre_tokenizer"] = step;
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

TEST_F(TokenizerHf, ReadsAddedTokens) {
  tokenizer_["added_tokens"] = {{{"id", 5}, {"content", "<e>"}, {"special", true}, {"normalized", false}},
                                {{"id", 6}, {"content", "ba"}, {"special", false}, {"normalized", false}},
                                {{"id", 7}, {"content", "cc"}, {"special", false}, {"normalized", true}}};
  const TokenizerData data = read();
  EXPECT_THAT(data.added, ElementsAre(6, 7));
  EXPECT_THAT(data.normalised_names, ElementsAre(7));
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.encode("abacc"), ElementsAre(0, 6, 7));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{5, 6, 7}), "bacc");
}

TEST_F(TokenizerHf, RefusesOtherSteps) {
  const std::pair<json, const char*> cases[] = {
      {{{"pre_tokenizer", nullptr}}, "pre_tokenizer is missing"},
      {{{"pre_tokenizer", {{"type", "Whitespace"}}}},
       "pre_tokenizer: type is \"Whitespace\", expected byte-level"},
      {{{"pre_tokenizer", kBytes}}, "pre_tokenizer: use_regex is false, expected true"},
      {{{"pre_tokenizer", {{"type", "ByteLevel"}}}}, "pre_tokenizer: add_prefix_space is missing"},
      {{{"pre_tokenizer", sequence({{"type", "Punctuation"}}, kBytes)}},
       "type is \"Punctuation\", expected 'Split'"},
      {{{"normalizer", {{"type", "Lowercase"}}}}, "normalizer: type is \"Lowercase\", expected 'NFC'"},
      {{{"decoder", {{"type", "WordPiece"}}}},
       "decoder: type is \"WordPiece\", expected 'ByteLevel', as byte_fallback is false"},
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

TEST_F(TokenizerHf, NoSingleChangedByteCrashesIt) {
  const auto why = [&](const std::string& bytes) {
    std::ofstream(folder_ / "tokenizer.json") << bytes;
    return message_of<InputError>([&] {
      const Tokenizer tokenizer(read_hf_tokenizer(folder_, kVocabSize));
      tokenizer.decode(tokenizer.encode("abc<e> é", true), true);
    });
  };
  ASSERT_EQ(why(tokenizer_.dump()), "");
  EXPECT_GT(refused_changes(tokenizer_.dump(), why), 500);
}

TEST_F(TokenizerHf, RefusesAGitLfsPointer) {
  std::ofstream(folder_ / "tokenizer.json") << "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
  EXPECT_THAT(message_of<InputError>([&] { read_hf_tokenizer(folder_, kVocabSize); }),
              HasSubstr("tokenizer.json: a Git LFS pointer"));
}

}  // namespace
}  // namespace tide::testing
