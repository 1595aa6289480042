// Byte fallback: pieces of characters, bytes where there is none, and the spaces that vocabularies mark.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "model/tokenizer.h"
#include "model/tokenizer_bytes.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Ids 0 to 255 are the bytes, then these.
enum Piece : std::int32_t { kName = 256, kMark, kA, kB, kC, kAb, kBc, kAbc, kMarkA, kMarks, kAcute };

TokenizerData vocabulary(SpacePrefix prefix = SpacePrefix::always) {
  TokenizerData data;
  data.alphabet = Alphabet::byte_fallback;
  for (int byte = 0; byte < 256; ++byte) data.tokens.push_back(byte_name(static_cast<std::uint8_t>(byte)));
  data.tokens.insert(data.tokens.end(), {"<s>", "▁", "a", "b", "c", "ab", "bc", "abc", "▁a", "▁▁", "é"});
  data.is_special.assign(data.tokens.size(), false);
  data.is_special[kName] = true;
  data.merges = {"b c", "a b", "a bc", "▁ a", "▁ ▁"};
  data.split = "none";
  data.space_prefix = prefix;
  data.marks_in_normal_form = prefix == SpacePrefix::always || prefix == SpacePrefix::none;
  data.strips_space = prefix != SpacePrefix::none;
  return data;
}

/// The same with scores in place of merges: of pieces, the higher ones first.
TokenizerData scored() {
  TokenizerData data = vocabulary(SpacePrefix::none);
  data.merges.clear();
  data.scores.assign(data.tokens.size(), -std::numeric_limits<float>::infinity());
  for (const std::int32_t id : {kMark, kA, kB, kC}) data.scores[static_cast<std::size_t>(id)] = -100;
  data.scores[kAb] = data.scores[kBc] = -1;
  data.scores[kAbc] = -2;
  return data;
}

std::string refusal(TokenizerData data) {
  return message_of<InputError>([&] { const Tokenizer tokenizer(std::move(data)); });
}

TEST(ByteFallback, CharactersWithoutATokenBecomeBytes) {
  const Tokenizer tokenizer(vocabulary(SpacePrefix::none));
  EXPECT_THAT(tokenizer.encode("éä"), ElementsAre(kAcute, 0xC3, 0xA4));
  EXPECT_THAT(tokenizer.encode("a\n"), ElementsAre(kA, 0x0A));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kMarkA, 0xC3, 0xA4, kMark, kC}), " aä c");
  EXPECT_EQ(tokenizer.token_bytes(kMarkA), " a");
  EXPECT_EQ(tokenizer.token_bytes(0xC3), "\xC3");
}

TEST(ByteFallback, BytesThatAreNotUtf8ComeBack) {
  const Tokenizer tokenizer(vocabulary());
  for (const std::string text : {"\xff\xfe", "ab\xc3", " \xe4\xbd a", "\xed\xa0\x80", "é\xc0\x80 "}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_THAT(tokenizer.encode("\xc3"), ElementsAre(kMark, 0xC3));
}

TEST(ByteFallback, ANameOfAByteInTextIsText) {
  const Tokenizer tokenizer(vocabulary(SpacePrefix::none));
  EXPECT_THAT(tokenizer.encode("<0x61>"), ElementsAre('<', '0', 'x', '6', '1', '>'));
}

TEST(ByteFallback, SpacesGoBeforeEverySection) {
  const Tokenizer tokenizer(vocabulary(SpacePrefix::always));
  EXPECT_THAT(tokenizer.encode("a"), ElementsAre(kMarkA));
  EXPECT_THAT(tokenizer.encode(" a"), ElementsAre(kMark, kMarkA));
  EXPECT_THAT(tokenizer.encode("a<s>a<s>", true), ElementsAre(kMarkA, kName, kMarkA, kName));
  EXPECT_THAT(tokenizer.encode("<s><s> a", true), ElementsAre(kName, kName, kMark, kMarkA));
  EXPECT_THAT(tokenizer.encode(""), IsEmpty());
}

TEST(ByteFallback, SpacesGoWhereNoneIs) {
  const Tokenizer tokenizer(vocabulary(SpacePrefix::missing));
  EXPECT_THAT(tokenizer.encode("a"), ElementsAre(kMarkA));
  EXPECT_THAT(tokenizer.encode(" a"), ElementsAre(kMarkA));
  EXPECT_THAT(tokenizer.encode("▁a"), ElementsAre(kMarkA));
  EXPECT_THAT(tokenizer.encode("a<s>a", true), ElementsAre(kMarkA, kName, kMarkA));
}

TEST(ByteFallback, SpacesGoToTheFrontOnly) {
  const Tokenizer tokenizer(vocabulary(SpacePrefix::missing_first));
  EXPECT_THAT(tokenizer.encode("a<s>a", true), ElementsAre(kMarkA, kName, kA));
  EXPECT_THAT(tokenizer.encode("<s>a", true), ElementsAre(kName, kA));
  EXPECT_THAT(tokenizer.encode(" a"), ElementsAre(kMarkA));
}

TEST(ByteFallback, DecodeTakesTheFirstSpaceOff) {
  const Tokenizer tokenizer(vocabulary());
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kMarkA, kMarkA}), "a a");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kMarks, kMarkA}), "  a");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kName, kMarkA}), "a");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{kName, kMarkA}, true), "<s> a");
}

TEST(ByteFallback, PiecesMayBeginAtMarks) {
  TokenizerData data = vocabulary(SpacePrefix::missing);
  data.merges = {"a ▁", "b c"};
  data.tokens.back() = "a▁";
  EXPECT_THAT(Tokenizer(data).encode("a a"), ElementsAre(kMark, kAcute, kA));
  data.split = "marks";
  EXPECT_THAT(Tokenizer(data).encode("a a"), ElementsAre(kMark, kA, kMark, kA));
}

TEST(ByteFallback, NamesInNormalFormSeeMarkedText) {
  TokenizerData data = vocabulary();
  data.added = {kAcute};
  data.normalised_names = {kAcute};
  data.tokens[kAcute] = "c b";
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.encode("c b"), ElementsAre(kAcute));
  EXPECT_THAT(tokenizer.encode("ac b"),
              ElementsAre(kMarkA, kC, kMark, kB));  // not where no space goes before
  data.normalised_names.clear();
  EXPECT_THAT(Tokenizer(data).encode("ac b"), ElementsAre(kMarkA, kAcute));
}

TEST(ByteFallback, MergesTheHighestScoreFirstTheLeftmostAmongEquals) {
  const Tokenizer tokenizer(scored());
  EXPECT_THAT(tokenizer.encode("bc"), ElementsAre(kBc));
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(kAbc));  // ab first, then ab + c: any two that join to it
  TokenizerData data = scored();
  data.scores[kBc] = -0.5f;
  EXPECT_THAT(Tokenizer(data).encode("abcab"), ElementsAre(kAbc, kAb));
  data.scores[kAbc] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(Tokenizer(data).encode("abc"), ElementsAre(kA, kBc));
  EXPECT_THAT(Tokenizer(scored()).encode(" a"), ElementsAre(kMark, kA));  // a score of -infinity: no piece
}

TEST(ByteFallback, LongTextIsMergedQuickly) {
  const Tokenizer tokenizer(scored());
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "abc";
  EXPECT_EQ(tokenizer.encode(text), std::vector<std::int32_t>(300000, kAbc));
}

TEST(ByteFallback, RefusesAMissingByte) {
  TokenizerData data = vocabulary();
  data.tokens[0x41] = "<0x4a>";
  EXPECT_THAT(refusal(data), HasSubstr("no token <0x41>; byte fallback needs one for each of the 256 bytes"));
}

TEST(ByteFallback, RefusesScoresThatAreNoNumbers) {
  TokenizerData data = scored();
  data.scores[kA] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(data), HasSubstr("tokenizer token 258: score nan, a finite number expected"));
}

TEST(ByteFallback, RefusesPiecesTooLongToSplit) {
  TokenizerData data = scored();
  data.tokens[kAbc] = std::string(1025, 'a');
  EXPECT_THAT(refusal(data), HasSubstr("1025 bytes, supported are 1024"));
}

}  // namespace
}  // namespace tide
