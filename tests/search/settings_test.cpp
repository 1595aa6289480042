#include "search/settings.h"

#include <gmock/gmock.h>

namespace tide::testing {
namespace {

using ::testing::UnorderedElementsAre;

const SettingSpace kSpace{
    .axes = {{"map", {"text", "none"}}, {"sharing", {"head", "all"}}, {"sinks", {"2", "0"}}},
    .fit = [](MethodSettings& settings) {
      if (settings["sharing"] == "all") settings["map"] = "none";
      return !(settings["map"] == "none" && settings["sinks"] == "0");
    }};

TEST(SettingSpace, BeginsWithTheFirstValues) {
  EXPECT_EQ(kSpace.first(), (MethodSettings{{"map", "text"}, {"sharing", "head"}, {"sinks", "2"}}));
  EXPECT_EQ(kSpace.count(), 8);
  EXPECT_EQ(SettingSpace{}.first(), MethodSettings{});
}

TEST(SettingSpace, ChangesOneSettingAndBringsTheOthersInLine) {
  const Candidate from{{2, 4}, kSpace.first()};
  EXPECT_THAT(kSpace.changed({from}),
              UnorderedElementsAre(
                  Candidate{{2, 4}, {{"map", "none"}, {"sharing", "head"}, {"sinks", "2"}}},
                  Candidate{{2, 4}, {{"map", "none"}, {"sharing", "all"}, {"sinks", "2"}}},  // takes no map
                  Candidate{{2, 4}, {{"map", "text"}, {"sharing", "head"}, {"sinks", "0"}}}));
}

TEST(SettingSpace, LeavesOutWhatThereIsNot) {
  const Candidate from{{2}, {{"map", "none"}, {"sharing", "head"}, {"sinks", "2"}}};
  for (const Candidate& other : kSpace.changed({from})) {
    EXPECT_NE(other, from);
    EXPECT_FALSE(other.settings.at("map") == "none" && other.settings.at("sinks") == "0");
  }
}

TEST(SettingSpace, NamesEachCandidateOnce) {
  const Candidate a{{2}, kSpace.first()};
  Candidate b = a;
  b.settings["sinks"] = "0";
  // Each is the other with one setting changed; neither is new.
  EXPECT_THAT(kSpace.changed({a, b}),
              UnorderedElementsAre(Candidate{{2}, {{"map", "none"}, {"sharing", "head"}, {"sinks", "2"}}},
                                   Candidate{{2}, {{"map", "none"}, {"sharing", "all"}, {"sinks", "2"}}}));
}

}  // namespace
}  // namespace tide::testing
