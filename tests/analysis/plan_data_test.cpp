// What a plan's page draws, from a plan whose numbers are known.

#include "analysis/plan_data.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "tests/support/expect_error.h"

namespace tide::analysis {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

json candidate(std::vector<int> select, const char* recent, double agree, double logprob) {
  return {
      {"select", select}, {"settings", {{"recent", recent}}}, {"agree", agree}, {"answer_logprob", logprob}};
}

class PlanData : public ::testing::Test {
 protected:
  PlanData() {
    plan.n_layers = 4;
    plan.chosen = {1, 2};
    plan.root = {{"budget", "32"},
                 {"criterion", "agree"},
                 {"searched", {{"recent", {"4", "8", "16"}}, {"sinks", {"2"}}, {"budget", {"32", "64"}}}},
                 {"settings", {{"recent", "8"}}}};
    plan.root["search"] = json::array(
        {{{"budget", "32"},
          {"select_layers", 2},
          {"placements",
           {candidate({1, 2}, "8", 0.9, -1), candidate({1, 3}, "4", 0.8, -0.5),
            candidate({1, 3}, "8", 0.7, -0.1)}}},
         {{"budget", "32"}, {"select_layers", 1}, {"placements", {candidate({1}, "16", 1.0, 0)}}},
         {{"budget", "64"}, {"select_layers", 2}, {"placements", {candidate({1, 2}, "16", 1.0, 0)}}}});
  }
  Plan plan;
};

TEST_F(PlanData, ALayerIsWorthTheBestPlacementThatHasIt) {
  const auto best = best_by_layer(plan, plan.root["search"][0]);
  EXPECT_TRUE(std::isnan(best[0]));
  EXPECT_THAT(std::vector(best.begin() + 1, best.end()), ElementsAre(0.9, 0.9, 0.8));
  plan.root["criterion"] = "logprob";
  EXPECT_DOUBLE_EQ(best_by_layer(plan, plan.root["search"][0])[3], -0.1);
  plan.root.erase("criterion");  // plans of before there was a choice
  EXPECT_DOUBLE_EQ(best_by_layer(plan, plan.root["search"][0])[3], -0.1);
}

TEST_F(PlanData, AValueIsWorthTheBestCandidateAtTheChosenBudgetAndSize) {
  const auto best = best_by_setting(plan);
  ASSERT_EQ(best.size(), 1u) << "sinks had one value, budgets make the frontier";
  using Entry = std::pair<std::string, std::optional<double>>;
  EXPECT_THAT(best.at("recent"), ElementsAre(Entry{"4", 0.8}, Entry{"8", 0.9}, Entry{"16", std::nullopt}));
  plan.root.erase("searched");
  EXPECT_TRUE(best_by_setting(plan).empty());
}

TEST_F(PlanData, LevelsNameTheirBudgetWhereThereAreSeveral) {
  EXPECT_EQ(level_words(plan, plan.root["search"][0]), "2 selection layers, budget 32");
  EXPECT_EQ(level_words(plan, plan.root["search"][1]), "1 selection layer, budget 32");
  plan.root["search"].erase(2);
  EXPECT_EQ(level_words(plan, plan.root["search"][0]), "2 selection layers");
}

TEST_F(PlanData, AMapsMassIsToldAsAShareOfTheReadersOwn) {
  EXPECT_TRUE(share_of_own(plan).empty());
  HeadMap map;
  map.n_layers = 2;
  map.n_heads = 2;
  map.mass = {{{}, {0.2f, 0.3f}}, {{}, {}}};
  plan.map = map;
  plan.own_mass = {{0.9, 0.9}, {0.4, 0.4}};
  const auto share = share_of_own(plan), mass = mass_of(map);
  ASSERT_EQ(share.size(), 4u);
  EXPECT_FLOAT_EQ(mass[1], 0.25f);
  EXPECT_FLOAT_EQ(share[1], 0.625f);  // (0.5 + 0.75) / 2
  for (const std::size_t none : {0u, 2u, 3u}) EXPECT_TRUE(std::isnan(share[none]) && std::isnan(mass[none]));
}

TEST(PlanFolder, WithoutAPlanIsRefusedByName) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "plan_folder";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "plan.json") << R"({"n_layers": 4, "chosen": "2"})";
  tide::testing::expect_input_error([&] { read_plan(folder); }, "plan.json");
  std::filesystem::remove_all(folder);
  tide::testing::expect_input_error([&] { read_plan(folder); }, "plan.json");
}

}  // namespace
}  // namespace tide::analysis
