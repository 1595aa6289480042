// Policy specs: what is read, what is refused, and the canonical text.

#include "policy/spec.h"

#include <gmock/gmock.h>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;

TEST(Spec, CanonicalTextHasEveryKeySortedWithDefaultsWrittenOut) {
  EXPECT_EQ(policy_of("full")->canonical(), "full");
  EXPECT_EQ(policy_of("tidal")->canonical(),
            "tidal:budget=64,map=none,placement=FFS..,recent=0,sharing=head,sinks=0");
  EXPECT_EQ(policy_of("window")->canonical(), "window:budget=64,placement=KKKKK,sinks=4");
  EXPECT_EQ(policy_of("oracle:budget=32")->canonical(),
            "oracle:budget=32,placement=FFEEE,recent=0,sharing=head,sinks=0");
  EXPECT_EQ(policy_of("random")->canonical(),
            "random:budget=64,placement=FFEEE,recent=0,sharing=head,sinks=0");
}

TEST(Spec, CanonicalTextDoesNotDependOnHowItWasWritten) {
  const std::string canonical = policy_of("tidal:select=1+3,full=0,budget=20,sinks=4")->canonical();
  EXPECT_EQ(policy_of("tidal:sinks=4,budget=20,placement=FS.S.")->canonical(), canonical);
  EXPECT_EQ(policy_of("tidal:sinks=04,budget=020,recent=0,sharing=head,select=3+1")->canonical(), canonical);
}

TEST(Spec, CanonicalTextIsItsOwnCanonicalText) {
  for (const char* spec :
       {"full", "tidal:budget=7.50%,select=2", "oracle:sharing=all,full=none", "random", "window"}) {
    const std::string canonical = policy_of(spec)->canonical();
    EXPECT_EQ(policy_of(canonical)->canonical(), canonical);
  }
}

TEST(Spec, PolicyTellsItsSharingAndBudget) {
  EXPECT_EQ(policy_of("tidal:sharing=group,budget=10%")->sharing(), "group");
  EXPECT_EQ(policy_of("tidal:sharing=group,budget=10%")->budget(), "10%");
  EXPECT_EQ(policy_of("full")->sharing(), "");
  EXPECT_EQ(policy_of("full")->budget(), "");
  EXPECT_EQ(policy_of("tidal")->map(), "");
}

TEST(Spec, UnknownNameNamesTheNearest) {
  expect_input_error([] { policy_of("tidl:budget=64"); }, "policy 'tidl' is unknown; the nearest is 'tidal'");
  expect_input_error([] { policy_of("ful"); }, "the nearest is 'full'");
  expect_input_error([] { policy_of("Window"); }, "the nearest is 'window'");
}

TEST(Spec, UnknownKeyNamesTheNearest) {
  expect_input_error([] { policy_of("tidal:budgt=64"); },
                     "policy tidal: key 'budgt' is unknown; the nearest is 'budget'");
  expect_input_error([] { policy_of("tidal:selct=2"); }, "the nearest is 'select'");
  expect_input_error([] { policy_of("window:select=2"); }, "key 'select' is unknown");
  expect_input_error([] { policy_of("full:budget=2"); }, "key 'budget' is unknown; it takes none");
}

TEST(Spec, MalformedTextIsRefused) {
  expect_input_error([] { policy_of(""); }, "no name");
  expect_input_error([] { policy_of(":budget=3"); }, "no name");
  for (const char* spec :
       {"tidal:", "tidal:budget", "tidal:=3", "tidal:budget=", "tidal:budget=3,", "tidal:,budget=3"}) {
    expect_input_error([&] { policy_of(spec); }, "is not of the form key=value");
  }
  expect_input_error([] { policy_of("tidal:budget=3,budget=3"); }, "key 'budget' is given twice");
}

TEST(Spec, ValuesOfTheWrongKindAreRefused) {
  expect_input_error([] { policy_of("tidal:sinks=two"); },
                     "policy tidal: sinks: expected a whole number, got 'two'");
  expect_input_error([] { policy_of("tidal:sinks=-1"); }, "sinks is -1, expected 0 to 512");
  expect_input_error([] { policy_of("tidal:recent=513"); }, "recent is 513");
  expect_input_error([] { policy_of("tidal:sharing=heads"); },
                     "sharing 'heads' is unknown; the nearest is 'head'");
  expect_input_error([] { policy_of("tidal:map=headmap.json"); },
                     "map 'headmap.json' is neither 'none' nor @FILE");
}

TEST(LayerList, ReadsRangesAndWritesThemBack) {
  EXPECT_THAT(parse_layers("0-1+8", 10, "full"), ElementsAre(0, 1, 8));
  EXPECT_THAT(parse_layers("8+0-1", 10, "full"), ElementsAre(0, 1, 8));
  EXPECT_THAT(parse_layers("none", 10, "full"), ElementsAre());
  EXPECT_EQ(format_layers({0, 1, 2, 8}), "0-2+8");
  EXPECT_EQ(format_layers({}), "none");
}

TEST(LayerList, RefusesAbsentAndTwiceNamedLayers) {
  expect_input_error([] { parse_layers("10", 10, "full"); }, "full: layer 10 is not there, expected 0 to 9");
  expect_input_error([] { parse_layers("8-12", 10, "full"); }, "layer 12 is not there");
  expect_input_error([] { parse_layers("2+2", 10, "full"); }, "layer 2 is named twice");
  expect_input_error([] { parse_layers("0-3+2", 10, "full"); }, "layer 2 is named twice");
  expect_input_error([] { parse_layers("3-1", 10, "full"); }, "range 3-1 runs backwards");
  expect_input_error([] { parse_layers("", 10, "full"); }, "full: expected a whole number");
  expect_input_error([] { parse_layers("1+", 10, "full"); }, "full: expected a whole number");
  expect_input_error([] { parse_layers("0-99999999999", 10, "full"); }, "is not there");
}

}  // namespace
}  // namespace tide::testing
