#include "search/judge.h"

#include <gmock/gmock.h>

#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

Judged judged(std::int64_t n_correct, double rows_read, double logprob = -1) {
  return {"policy", 100, n_correct, logprob, rows_read};
}

std::vector<double> rows(const std::vector<Judged>& all) {
  std::vector<double> cost;
  for (const Judged& one : all) cost.push_back(one.rows_read);
  return cost;
}

TEST(Choice, TakesTheCheapestThatReachesTheFloor) {
  const std::vector<Judged> all = {judged(70, 50), judged(96, 90), judged(97, 80), judged(100, 200)};
  EXPECT_EQ(choose(all, rows(all), 1.0, {0.95}), 2u);
  EXPECT_EQ(choose(all, rows(all), 1.0, {0.7}), 0u);
  EXPECT_EQ(choose(all, rows(all), 0.5, {0.95}), 0u) << "the floor is a share of full attention's accuracy";
}

TEST(Choice, TakesTheMostAccurateWhereNoneReachesIt) {
  const std::vector<Judged> all = {judged(70, 50), judged(90, 90, -2), judged(90, 95, -1)};
  EXPECT_EQ(choose(all, rows(all), 1.0, {0.95}), 2u);
}

TEST(Choice, GoesByTheCostThatItIsGiven) {
  const std::vector<Judged> all = {judged(97, 50), judged(97, 90)};
  EXPECT_EQ(choose(all, std::vector<double>{3.5, 3.0}, 1.0, {0.95}), 1u);
}

TEST(Choice, TakesTheMostAccurateThatCostsNoMore) {
  const std::vector<Judged> all = {judged(70, 50), judged(96, 90, -2), judged(96, 80, -1), judged(100, 200)};
  EXPECT_EQ(choose(all, rows(all), 1.0, {.cost_at_most = 100}), 2u)
      << "ties go to the higher log-probability";
  EXPECT_EQ(choose(all, rows(all), 1.0, {.cost_at_most = 60}), 0u);
  EXPECT_EQ(choose(all, rows(all), 1.0, {.cost_at_most = 10}), 0u) << "the cheapest where all cost more";
  EXPECT_EQ(most_accurate(all), 3u);
}

TEST(Rivals, AreNeitherTheChosenOneNorTwice) {
  const CandidateSpace space{8, 2, 2, true};
  const Candidate chosen{{2, 5}};
  const auto rivals = rule_of_thumb_and_random(space, chosen, 3, 1);
  ASSERT_EQ(rivals.size(), 4u);
  EXPECT_EQ(rivals[0], (Candidate{{2, 4}}));
  const std::set<Candidate> once(rivals.begin(), rivals.end());
  EXPECT_EQ(once.size(), 4u);
  EXPECT_FALSE(once.contains(chosen));
  for (const Candidate& rival : rivals) EXPECT_EQ(rival.select.front(), 2);
  EXPECT_EQ(rivals, rule_of_thumb_and_random(space, chosen, 3, 1));
  EXPECT_EQ(rule_of_thumb_and_random(space, chosen, 50, 1).size(), 4u) << "there are but five placements";
}

TEST(Rivals, HaveTheChosenOnesSettings) {
  const Candidate chosen{{2, 5}, {{"recent", "4"}}};
  for (const Candidate& rival : rule_of_thumb_and_random({8, 2, 2, true}, chosen, 2, 1))
    EXPECT_EQ(rival.settings, chosen.settings);
}

TEST(Judge, CountsRightAnswersAndGoesOnWhereItStopped) {
  const auto model = tiny_model(DType::f32);
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  const auto path = fresh_path("judge.csv");
  const SweepPlan plan = tiny_plan(*model, {"full", "window:budget=40"}, 2, 8);
  int asked = 0;
  SweepHooks stop_early;
  stop_early.interrupted = [&] { return ++asked > 2; };
  EXPECT_TRUE(judge(decoder, plan, path, stop_early).empty());
  const auto all = judge(decoder, plan, path, {});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].policy, "full");
  EXPECT_EQ(all[1].n, 4);
  EXPECT_NEAR(all[1].rows_read, 40, 1e-9);
  EXPECT_LT(all[1].answer_logprob, 0);
}

}  // namespace
}  // namespace tide::testing
