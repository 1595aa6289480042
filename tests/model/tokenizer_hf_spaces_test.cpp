// tokenizer.json with byte fallback: the steps that mark spaces, and those that are refused by name.

#include "model/tokenizer_bytes.h"
#include "tests/model/tokenizer_hf_fixture.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kMark = 259, kA = 260, kMarkA = 261, kFallbackSize = 262;

const json kReplace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
const json kPrepend = {{"type", "Prepend"}, {"prepend", "▁"}};
const json kReplaceBack = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
const json kStrip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};

json normalizers(const std::vector<json>& steps) { return {{"type", "Sequence"}, {"normalizers", steps}}; }
json decoders(const std::vector<json>& steps) { return {{"type", "Sequence"}, {"decoders", steps}}; }
json decoder(bool strips) {
  std::vector<json> steps = {kReplaceBack, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (strips) steps.push_back(kStrip);
  return decoders(steps);
}
json metaspace(const json& scheme, bool split) {
  return {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}};
}

/// After Llama-2's conversion: control tokens, bytes, then ▁, a and ▁a.
json llama2() {
  json file = sound_tokenizer();
  json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"▁", kMark}, {"a", kA}, {"▁a", kMarkA}};
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_name(static_cast<std::uint8_t>(byte))] = 3 + byte;
  file["model"] = {{"type", "BPE"},        {"byte_fallback", true}, {"fuse_unk", true},
                   {"unk_token", "<unk>"}, {"vocab", vocabulary},   {"merges", {"▁ a"}}};
  file["added_tokens"] = {{{"id", 0}, {"content", "<unk>"}, {"special", true}, {"normalized", false}},
                          {{"id", 1}, {"content", "<s>"}, {"special", true}, {"normalized", false}},
                          {{"id", 2}, {"content", "</s>"}, {"special", true}, {"normalized", false}}};
  file["normalizer"] = normalizers({kPrepend, kReplace});
  file["pre_tokenizer"] = nullptr;
  file["post_processor"] = nullptr;
  file["decoder"] = decoder(true);
  return file;
}

class TokenizerHfSpaces : public TokenizerHf {
 protected:
  TokenizerHfSpaces() { tokenizer_ = llama2(); }

  TokenizerData read_all() {
    write("tokenizer.json", tokenizer_);
    return read_hf_tokenizer(folder_, kFallbackSize);
  }
  std::string why() {
    const auto message = message_of<InputError>([&] { const Tokenizer tokenizer(read_all()); });
    EXPECT_THAT(message, ::testing::Not(HasSubstr("\n")));
    return message;
  }
  void use_metaspace(const json& step) {
    tokenizer_["normalizer"] = nullptr;
    tokenizer_["pre_tokenizer"] = step;
  }
};

TEST_F(TokenizerHfSpaces, ReadsLlama2s) {
  const TokenizerData data = read_all();
  EXPECT_EQ(data.alphabet, Alphabet::byte_fallback);
  EXPECT_EQ(data.space_prefix, SpacePrefix::always);
  EXPECT_EQ(data.split, "none");
  EXPECT_TRUE(data.marks_in_normal_form && data.strips_space);
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.encode("a<s>a\n", true), ElementsAre(kMarkA, 1, kMarkA, 3 + 0x0A));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a ä")), "a ä");
}

TEST_F(TokenizerHfSpaces, ReadsMistrals) {
  use_metaspace(metaspace("first", false));
  const TokenizerData data = read_all();
  EXPECT_EQ(data.space_prefix, SpacePrefix::missing_first);
  EXPECT_EQ(data.split, "none");
  EXPECT_FALSE(data.marks_in_normal_form);
  EXPECT_THAT(Tokenizer(data).encode("a<s>a", true), ElementsAre(kMarkA, 1, kA));
}

TEST_F(TokenizerHfSpaces, ReadsEverySchemeOfMetaspace) {
  const std::pair<json, SpacePrefix> cases[] = {
      {"always", SpacePrefix::missing}, {"first", SpacePrefix::missing_first}, {"never", SpacePrefix::none}};
  for (const auto& [scheme, prefix] : cases) {
    use_metaspace(metaspace(scheme, true));
    EXPECT_EQ(read_all().space_prefix, prefix);
    EXPECT_EQ(read_all().split, "marks");
  }
  for (const bool adds : {true, false}) {
    use_metaspace({{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", adds}});
    EXPECT_EQ(read_all().space_prefix, adds ? SpacePrefix::missing : SpacePrefix::none);
  }
}

TEST_F(TokenizerHfSpaces, MayReplaceWithoutPrepending) {
  for (const json& normalizer : {kReplace, normalizers({kReplace})}) {
    tokenizer_["normalizer"] = normalizer;
    tokenizer_["decoder"] = decoder(false);
    EXPECT_EQ(read_all().space_prefix, SpacePrefix::none);
    EXPECT_FALSE(read_all().strips_space);
  }
}

TEST_F(TokenizerHfSpaces, RefusesOtherNormalizers) {
  const json digits = {{"type", "Replace"}, {"pattern", {{"Regex", " "}}}, {"content", "▁"}};
  const json other_mark = {{"type", "Prepend"}, {"prepend", "_"}};
  for (const json& normalizer :
       {json{{"type", "NFKC"}}, normalizers({kReplace, kPrepend}), normalizers({kPrepend}),
        normalizers({other_mark, kReplace}), digits, normalizers({kPrepend, kReplace, {{"type", "NFC"}}})}) {
    tokenizer_["normalizer"] = normalizer;
    EXPECT_THAT(why(), HasSubstr("expected 'Prepend' of \"▁\" and 'Replace' of \" \" by \"▁\", or 'Replace' "
                                 "alone, as byte_fallback is true"))
        << normalizer;
  }
  tokenizer_["normalizer"] = kReplace;
  tokenizer_["pre_tokenizer"] = metaspace("first", false);
  EXPECT_THAT(why(), HasSubstr("expected none, as the normalizer marks spaces and byte_fallback is true"));
}

TEST_F(TokenizerHfSpaces, RefusesOtherPreTokenizers) {
  json other_mark = metaspace("first", false);
  other_mark["replacement"] = "_";
  const std::pair<json, const char*> cases[] = {
      {nullptr, "pre_tokenizer is missing"},
      {kByteLevel, "pre_tokenizer: type is \"ByteLevel\", expected 'Metaspace', as byte_fallback is true"},
      {{{"type", "WhitespaceSplit"}}, "type is \"WhitespaceSplit\", expected 'Metaspace'"},
      {other_mark, "replacement is \"_\", expected \"▁\""},
      {metaspace("sometimes", false),
       "prepend_scheme is \"sometimes\", expected 'always', 'first' or 'never'"},
      {metaspace(1, false), "prepend_scheme is 1, expected a string"}};
  for (const auto& [step, message] : cases) {
    use_metaspace(step);
    EXPECT_THAT(why(), HasSubstr(message));
  }
}

TEST_F(TokenizerHfSpaces, RefusesOtherDecoders) {
  const json two = {{"type", "Strip"}, {"content", " "}, {"start", 2}, {"stop", 0}};
  const json fallback = {{"type", "ByteFallback"}}, fuse = {{"type", "Fuse"}};
  for (const json& step :
       {json{{"type", "ByteLevel"}}, decoders({kReplaceBack, fuse}), decoders({}),
        decoders({kReplaceBack, fallback, fuse, two}), decoders({kReplace, fallback, fuse}),
        decoders({kReplaceBack, fallback, fuse, kStrip, kStrip})}) {
    tokenizer_["decoder"] = step;
    EXPECT_THAT(why(), HasSubstr("expected 'Replace' of \"▁\" by \" \", 'ByteFallback', 'Fuse' and at most a "
                                 "'Strip' of one \" \" at the start, as byte_fallback is true"))
        << step;
  }
  tokenizer_["decoder"] = nullptr;
  EXPECT_THAT(why(), HasSubstr("decoder is missing"));
}

TEST_F(TokenizerHfSpaces, RefusesAMissingByte) {
  model()["vocab"].erase("<0x0A>");
  EXPECT_THAT(why(), HasSubstr("no token <0x0A>; byte fallback needs one for each of the 256 bytes"));
}

}  // namespace
}  // namespace tide::testing
