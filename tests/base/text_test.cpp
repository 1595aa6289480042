#include "base/text.h"

#include <gmock/gmock.h>

#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;

TEST(Split, KeepsEmptyPieces) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
}

TEST(Nearest, HasTheLeastEditDistance) {
  const std::vector<std::string> names = {"full", "tidal", "window"};
  EXPECT_EQ(nearest("tidle", names), "tidal");
  EXPECT_EQ(nearest("widow", names), "window");
  EXPECT_EQ(nearest("full", names), "full");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(ParseInteger, TakesWholeNumbersOnly) {
  EXPECT_EQ(parse_integer("-12", "x"), -12);
  EXPECT_EQ(parse_integer("9223372036854775807", "x"), 9223372036854775807LL);
  for (const char* text : {"", " 1", "1 ", "1.5", "0x10", "one", "9223372036854775808"}) {
    expect_input_error([&] { parse_integer(text, "steps"); }, "steps: expected a whole number");
  }
}

TEST(ParseNumber, TakesFiniteNumbersOnly) {
  EXPECT_DOUBLE_EQ(parse_number("-1.25e2", "x"), -125);
  for (const char* text : {"", "nan", "inf", "1,5", "1.5x", "1e999"}) {
    expect_input_error([&] { parse_number(text, "depth"); }, "depth: expected a finite number");
  }
}

TEST(ParseIndexList, SortsAndChecks) {
  EXPECT_THAT(parse_index_list("8+0-2", 9, "--rows", "row"), ElementsAre(0, 1, 2, 8));
  expect_input_error([] { parse_index_list("9", 9, "--rows", "row"); },
                     "--rows: row 9 is not there, expected 0 to 8");
  expect_input_error([] { parse_index_list("-1", 9, "--rows", "row"); }, "--rows");
  expect_input_error([] { parse_index_list("1+1", 9, "--rows", "row"); }, "row 1 is named twice");
  expect_input_error([] { parse_index_list("2-1", 9, "--rows", "row"); }, "runs backwards");
}

TEST(ValidUtf8, PassesThroughUntouched) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(to_valid_utf8(text), text);
  EXPECT_EQ(to_valid_utf8(""), "");
}

TEST(ValidUtf8, ReplacesEveryInvalidByte) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(to_valid_utf8("a\xFF"
                          "b"),
            "a" + bad + "b");
  EXPECT_EQ(to_valid_utf8("\xE2\x82"), bad + bad);                      // cut short
  EXPECT_EQ(to_valid_utf8("\xC0\x80"), bad + bad);                      // overlong
  EXPECT_EQ(to_valid_utf8("\xE0\x9F\xBF"), bad + bad + bad);            // overlong
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), bad + bad + bad);            // a surrogate
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // beyond U+10FFFF
}

TEST(HumanBytes, UsesDecimalUnits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(340e3), "340 KB");
  EXPECT_EQ(human_bytes(1.2e9), "1.2 GB");
  EXPECT_EQ(human_bytes(5e15), "5e+03 TB");
}

}  // namespace
}  // namespace tide::testing
