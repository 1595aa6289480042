#include "policy/placement.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

std::string letters(const std::string& spec) { return placement_letters(policy_of(spec)->placement()); }

TEST(Placement, FromListsOfLayers) {
  EXPECT_EQ(letters("tidal:select=2"), "FFS..");
  EXPECT_EQ(letters("tidal:select=2+4"), "FFS.S");
  EXPECT_EQ(letters("tidal:select=1+3"), "FS.S.");
  EXPECT_EQ(letters("tidal:select=0,full=none"), "S....");
  EXPECT_EQ(letters("tidal:select=2,full=0-1+4"), "FFS.F");
  EXPECT_EQ(letters("tidal:select=1-3"), "FSSS.");
}

TEST(Placement, LayersBeforeTheFirstSelectionAreFull) {
  EXPECT_EQ(letters("tidal:select=3,full=none"), "FFFS.");
}

TEST(Placement, FromLetters) {
  EXPECT_EQ(letters("tidal:placement=FFS.F"), "FFS.F");
  EXPECT_EQ(letters("oracle:placement=EFEFE"), "EFEFE");
  EXPECT_EQ(letters("window:placement=FKKKF"), "FKKKF");
  EXPECT_EQ(letters("tidal:placement=FFFFF"), "FFFFF");
}

TEST(Placement, OfUniformMethodsTakesFull) {
  EXPECT_EQ(letters("full"), "FFFFF");
  EXPECT_EQ(letters("oracle"), "FFEEE");
  EXPECT_EQ(letters("oracle:full=none"), "EEEEE");
  EXPECT_EQ(letters("random:full=0+4"), "FEEEF");
  EXPECT_EQ(letters("window"), "KKKKK");
}

TEST(Placement, RefusesAbsentAndTwiceNamedLayers) {
  expect_input_error([] { policy_of("tidal:select=5"); },
                     "policy tidal: select: layer 5 is not there, expected 0 to 4");
  expect_input_error([] { policy_of("tidal:select=2+2"); }, "layer 2 is named twice");
  expect_input_error([] { policy_of("tidal:full=0-2,select=2"); }, "layer 2 is named in full and in select");
  expect_input_error([] { policy_of("oracle:full=9"); }, "policy oracle: full: layer 9 is not there");
  expect_input_error([] { policy_of("tidal:select=none"); }, "select names no layer");
}

TEST(Placement, RefusesASparseLayerBeforeAnySelection) {
  expect_input_error([] { policy_of("tidal:placement=F.S.."); },
                     "layer 1 is sparse before any selection layer");
  expect_input_error([] { policy_of("tidal:placement=....."); },
                     "layer 0 is sparse before any selection layer");
}

TEST(Placement, RefusesLettersOfAnotherLengthOrMethod) {
  expect_input_error([] { policy_of("tidal:placement=FFS."); }, "has 4 letters, the model has 5 layers");
  expect_input_error([] { policy_of("tidal:placement=FFSEE"); }, "has the letter 'E', expected one of 'FS.'");
  expect_input_error([] { policy_of("window:placement=KKKS."); }, "has the letter 'S'");
  expect_input_error([] { policy_of("tidal:placement=FFS..,select=2"); },
                     "placement and select exclude each other");
  expect_input_error([] { policy_of("oracle:placement=FFEEE,full=0"); },
                     "placement and full exclude each other");
}

class PlanFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_) << text;
    return "tidal:placement=@" + path_.string();
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      ("plan_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".toml");
};

TEST_F(PlanFile, GivesThePlacement) {
  const auto policy = policy_of(write("budget = 64\nplacement = \"FS..S\"\n"));
  EXPECT_EQ(placement_letters(policy->placement()), "FS..S");
  EXPECT_THAT(policy->canonical(), ::testing::HasSubstr("placement=FS..S"));
}

TEST_F(PlanFile, IsCheckedLikeLetters) {
  expect_input_error([&] { policy_of(write("placement = \"F.S..\"\n")); }, "sparse before any selection");
  expect_input_error([&] { policy_of(write("placement = \"FS\"\n")); }, "has 2 letters");
}

TEST_F(PlanFile, GivesTheWholePolicy) {
  write("placement = \"FS..S\"\npolicy = \"tidal:budget=64,placement=FS..S,recent=4\"\n");
  EXPECT_EQ(policy_of("@" + path_.string())->canonical(),
            policy_of("tidal:budget=64,placement=FS..S,recent=4")->canonical());
  write("policy = \"full\"\n");
  EXPECT_EQ(policy_of("@" + path_.string())->canonical(), "full");
}

TEST_F(PlanFile, TakesTheMapThatMovedWithIt) {
  // Neither map can be read: the message tells which one was tried.
  const auto beside = path_.parent_path() / "moved_headmap.json";
  write("policy = \"tidal:budget=64,map=@/was/here/moved_headmap.json,select=2\"\n");
  std::filesystem::remove(beside);
  expect_input_error([&] { policy_of("@" + path_.string()); }, "/was/here/moved_headmap.json");
  std::ofstream(beside) << "{}";
  expect_input_error([&] { policy_of("@" + path_.string()); }, beside.string() + ": ");
  std::filesystem::remove(beside);
}

TEST_F(PlanFile, WithoutAPolicyIsRefusedWhereThatIsWanted) {
  write("placement = \"FS..S\"\n");
  expect_input_error([&] { policy_of("@" + path_.string()); }, "has no text under key 'policy'");
  expect_input_error([] { policy_of("@/nowhere/plan.toml"); }, "/nowhere/plan.toml");
  write("policy = \"tidal:budget=64,colour=red\"\n");
  expect_input_error([&] { policy_of("@" + path_.string()); }, "colour");
}

TEST_F(PlanFile, ThatIsNoPlanIsRefusedByName) {
  expect_input_error([&] { policy_of(write("budget = 64\n")); }, "has no text under key 'placement'");
  expect_input_error([&] { policy_of(write("placement = 3\n")); }, "has no text under key 'placement'");
  expect_input_error([&] { policy_of(write("x = 1\nplacement = \n")); }, "line 2");
  expect_input_error([] { policy_of("tidal:placement=@/nowhere/plan.toml"); }, "/nowhere/plan.toml");
}

}  // namespace
}  // namespace tide::testing
