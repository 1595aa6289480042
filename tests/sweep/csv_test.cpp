#include "sweep/csv.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/error.h"

namespace tide {
namespace {

using ::testing::ElementsAre;

TEST(Csv, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("tidal:budget=64,select=2"), "\"tidal:budget=64,select=2\"");
  EXPECT_EQ(csv_field("he said \"no\""), "\"he said \"\"no\"\"\"");
  EXPECT_EQ(csv_field(" front"), "\" front\"");
}

TEST(Csv, ARecordIsOneLine) {
  const std::string line = csv_line({"a\nb", "c\r\td", "\x01", "back\\slash"});
  EXPECT_EQ(line, "a\\nb,c\\r\\td,\\x01,back\\\\slash");
}

TEST(Csv, ParsesWhatItWrites) {
  EXPECT_THAT(parse_csv_line(csv_line({"a,b", "", "say \"x\",\"y\"", "é"})),
              ElementsAre("a,b", "", "say \"x\",\"y\"", "é"));
  EXPECT_THROW(parse_csv_line("a,\"b"), InputError);
}

TEST(Csv, ANumberThatWasNotMeasuredIsEmpty) {
  EXPECT_EQ(csv_number(std::numeric_limits<double>::quiet_NaN()), "");
  EXPECT_EQ(csv_number(0.5), "0.5");
  EXPECT_EQ(csv_number(-12.3456789), "-12.3457");
}

}  // namespace
}  // namespace tide
