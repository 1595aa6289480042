#include "sweep/config.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"

namespace tide {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

SweepConfig load(const std::string& toml, const Settings& settings = {}) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "sweep_config_test.toml";
  std::ofstream(file) << toml;
  return load_sweep_config(file, settings);
}

TEST(SweepConfig, AlternativesMultiply) {
  EXPECT_THAT(expand_spec("tidal:budget=32|64,select=2+8|2+14"),
              ElementsAre("tidal:budget=32,select=2+8", "tidal:budget=32,select=2+14",
                          "tidal:budget=64,select=2+8", "tidal:budget=64,select=2+14"));
  EXPECT_THAT(expand_spec("full"), ElementsAre("full"));
  EXPECT_THAT(expand_spec("oracle|random:budget=8"), ElementsAre("oracle:budget=8", "random:budget=8"));
  EXPECT_THAT([] { expand_spec("tidal:budget=32|"); }, ThrowsMessage<InputError>(HasSubstr("empty")));
}

TEST(SweepConfig, ReadsGridsAndPolicies) {
  const auto config = load(R"(
lengths = [512, 1024]
depths = 0.5
policies = ["full", "window:budget=32|64"]
[[grid]]
policy = "tidal"
budget = [32, "10%"]
select = "2+8"
)");
  EXPECT_THAT(config.lengths, ElementsAre(512, 1024));
  EXPECT_THAT(config.depths, ElementsAre(0.5));
  EXPECT_THAT(config.policies, ElementsAre("full", "window:budget=32", "window:budget=64",
                                           "tidal:budget=32,select=2+8", "tidal:budget=10%,select=2+8"));
}

TEST(SweepConfig, SettingsWinOverTheFile) {
  const Settings settings = {{"samples", {"3"}},
                             {"lengths", {"256,300"}},
                             {"tasks", {"needle,text"}},
                             {"text", {"my text.txt"}},
                             {"policies", {"full"}}};
  const auto config = load("samples = 9\n[[grid]]\npolicy = \"random\"\n", settings);
  EXPECT_EQ(config.samples, 3);
  EXPECT_EQ(config.text, "my text.txt");
  EXPECT_THAT(config.lengths, ElementsAre(256, 300));
  EXPECT_THAT(config.tasks, ElementsAre("needle", "text"));
  EXPECT_THAT(config.policies, ElementsAre("full"));
}

TEST(SweepConfig, AMisspeltKeyGetsTheNearest) {
  EXPECT_THAT(
      [] { load("policies = [\"full\"]\nlenghts = [512]\n"); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("line 2"), HasSubstr("'lenghts'"), HasSubstr("'lengths'"))));
  EXPECT_THAT(
      [] {
        load("policies = \"full\"", {{"smaples", {"3"}}});
      },
      ThrowsMessage<InputError>(HasSubstr("'samples'")));
}

TEST(SweepConfig, ValuesOfAnotherKindAreRefused) {
  EXPECT_THAT([] { load("policies = [\"full\"]\nsamples = \"many\"\n"); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("line 2"), HasSubstr("'samples'"))));
  EXPECT_THAT([] { load("policies = [\"full\"]\ndepths = [1.5]\n"); },
              ThrowsMessage<InputError>(HasSubstr("'depths'")));
  EXPECT_THAT([] { load("policies = [\"full\"]\nbatch = 0\n"); },
              ThrowsMessage<InputError>(HasSubstr("'batch'")));
  EXPECT_THAT([] { load("policies = [\n"); }, ThrowsMessage<InputError>(HasSubstr("line")));
}

TEST(SweepConfig, AnEmptyGridIsRefused) {
  EXPECT_THAT([] { load("samples = 2\n"); }, ThrowsMessage<InputError>(HasSubstr("grid is empty")));
  EXPECT_THAT([] { load("[[grid]]\npolicy = \"tidal\"\nbudget = []\n"); },
              ThrowsMessage<InputError>(HasSubstr("grid is empty")));
  EXPECT_THAT([] { load("[[grid]]\nbudget = 32\n"); }, ThrowsMessage<InputError>(HasSubstr("'policy'")));
}

TEST(SweepConfig, TheResolvedConfigReadsBackTheSame) {
  const auto config = load(
      "seeds = [3]\ntext = \"a \\\"b\\\".txt\"\npolicies = [\"tidal:budget=32|64\"]\n[files]\n\"x.json\" = "
      "\"ab\"\n");
  const std::string text = to_toml(config);
  EXPECT_EQ(to_toml(load(text)), text);
  EXPECT_THAT(text, HasSubstr("tidal:budget=64"));
  EXPECT_THAT(text, HasSubstr("depths = [0.1, 0.3, 0.5, 0.7, 0.9]\n"));
}

}  // namespace
}  // namespace tide
