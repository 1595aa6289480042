// From values to sets: exact top-k, ties, forced positions, padding.

#include "policy/selection.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "policy/spec.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class Selection : public ::testing::Test {
 protected:
  /// Sets chosen from values [n_sets, kv_len].
  PositionSets choose(const std::string& spec_text, const std::vector<float>& value, std::int64_t kv_len) {
    PolicySpec spec(spec_text);
    const SelectionRule rule = take_selection_rule(spec, config_);
    PositionSets sets;
    selector_.choose_by_value(rule, step(kv_len), value.data(), kv_len, sets);
    return sets;
  }

  LayerStep step(std::int64_t kv_len) {
    LayerStep step{};
    step.kv_len = kv_len;
    step.config = &config_;
    step.pool = &pool_;
    return step;
  }

  ModelConfig config_ = tiny_config();
  Selector selector_;
  kernels::ThreadPool pool_{1};
};

TEST_F(Selection, GoesByFallingScoreTheSmallerPositionFirstInTies) {
  const PositionSets sets = choose("x:budget=4,sharing=all", {1, 3, -0.0f, 3, 0.0f, 2, 3}, 7);
  EXPECT_THAT(sets.position, ElementsAre(1, 3, 6, 5));
  EXPECT_THAT(sets.score, ElementsAre(3, 3, 3, 2));
  EXPECT_THAT(choose("x:budget=6,sharing=all", {1, 3, -0.0f, 3, 0.0f, 2, 3}, 7).position,
              ElementsAre(1, 3, 6, 5, 0, 2));
}

TEST_F(Selection, PutsForcedPositionsFirstAndAscending) {
  const PositionSets sets = choose("x:budget=6,sharing=all,sinks=2,recent=2", {9, 8, 1, 5, 3, 5, 7, 6}, 8);
  EXPECT_THAT(sets.position, ElementsAre(0, 1, 6, 7, 3, 5));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isnan(sets.score[i]));
  EXPECT_THAT(std::vector<float>(sets.score.begin() + 4, sets.score.end()), ElementsAre(5, 5));
}

TEST_F(Selection, NeverChoosesNanAndPadsWithMinusOne) {
  const PositionSets sets = choose("x:budget=5,sharing=all,sinks=1", {kNan, 2, kNan, 1, kNan}, 5);
  EXPECT_THAT(sets.position, ElementsAre(0, 1, 3, -1, -1));
  EXPECT_THAT(sets.count, ElementsAre(3));
  EXPECT_TRUE(std::isnan(sets.score[0]) && std::isnan(sets.score[3]) && std::isnan(sets.score[4]));
}

TEST_F(Selection, HoldsEverythingWhenTheBudgetIsGenerous) {
  const PositionSets sets = choose("x:budget=100,sharing=all,sinks=4,recent=4", {1, 2, 3, 4, 5}, 5);
  EXPECT_THAT(sets.position, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(sets.width, 5);
}

TEST_F(Selection, MakesOneSetAHeadAGroupOrOneForAll) {
  std::vector<float> value(6 * 8, 0.0f);
  for (std::size_t set = 0; set < 6; ++set) value[set * 8 + set + 1] = 1;
  const PositionSets head = choose("x:budget=1", value, 8);
  EXPECT_THAT(head.position, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(head.set_of_head, ElementsAre(0, 1, 2, 3, 4, 5));
  const PositionSets group = choose("x:budget=1,sharing=group", value, 8);
  EXPECT_THAT(group.position, ElementsAre(1, 2));
  EXPECT_THAT(group.set_of_head,
              ElementsAre(0, 0, 0, 1, 1, 1));  // head / group_size, never head % n_kv_heads
  EXPECT_THAT(choose("x:budget=1,sharing=all", value, 8).set_of_head, ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST_F(Selection, OfAGroupGoesByTheSumOfItsHeadsProbabilities) {
  // Three heads a group over four positions; logs of probabilities as scores, so that log-sum-exp is 0.
  const std::vector<std::vector<double>> prob = {{.7, .1, .1, .1}, {.1, .5, .3, .1}, {.1, .5, .3, .1},
                                                 {.1, .1, .1, .7}, {.1, .1, .1, .7}, {.4, .2, .2, .2}};
  std::vector<float> score;
  for (const auto& row : prob) {
    for (const double p : row) score.push_back(static_cast<float>(std::log(p)));
  }
  const std::vector<float> log_sum_exp(6, 0.0f);
  const LayerScores scores{score.data(), log_sum_exp.data(), 4, 4};
  const auto chosen = [&](const std::string& text) {
    PolicySpec spec(text);
    PositionSets sets;
    selector_.choose(take_selection_rule(spec, config_), step(4), scores, sets);
    return sets;
  };
  const PositionSets group = chosen("x:budget=2,sharing=group");
  EXPECT_THAT(group.position, ElementsAre(1, 0, 3, 0));  // 1.1 and 0.9; 1.6 and 0.6
  EXPECT_NEAR(group.score[0], 1.1, 1e-5);
  const PositionSets all = chosen("x:budget=2,sharing=all");
  EXPECT_THAT(all.position, ElementsAre(3, 0));  // 1.9, 1.5, 1.5, 1.1
  const PositionSets head = chosen("x:budget=1");
  EXPECT_THAT(head.position, ElementsAre(0, 1, 1, 3, 3, 0));
  EXPECT_EQ(head.score[0], score[0]);
}

TEST_F(Selection, StaysWithinTheLayersWindow) {
  const std::vector<float> value = {9, 9, 9, 9, 1, 3, 2, 4, 0, 0};
  const auto within = [&](const std::string& text, std::int64_t first) {
    PolicySpec spec(text);
    LayerStep of_layer = step(10);
    of_layer.first = first;
    PositionSets sets;
    selector_.choose_by_value(take_selection_rule(spec, config_), of_layer, value.data(), 10, sets);
    return sets;
  };
  EXPECT_THAT(within("x:budget=3,sharing=all", 4).position, ElementsAre(7, 5, 6));
  // Sinks that the window has passed by are not read; one that it still holds is.
  EXPECT_THAT(within("x:budget=4,sharing=all,sinks=2,recent=1", 4).position, ElementsAre(9, 7, 5, 6));
  EXPECT_THAT(within("x:budget=4,sharing=all,sinks=2,recent=1", 1).position, ElementsAre(1, 9, 2, 3));
  // A budget beyond the window is the window.
  EXPECT_THAT(within("x:budget=9,sharing=all,sinks=1,recent=5", 7).position, ElementsAre(7, 8, 9));
  EXPECT_EQ(within("x:budget=100%,sharing=all", 7).width, 3);
}

TEST_F(Selection, OfAGroupTakesNothingFromBeforeTheWindow) {
  // What stands before the window is no score: whatever was in that memory.
  std::vector<float> score(6 * 4, kNan);
  for (std::size_t head = 0; head < 6; ++head) {
    score[head * 4 + 2] = head < 3 ? 2.0f : 1.0f;
    score[head * 4 + 3] = head < 3 ? 1.0f : 2.0f;
  }
  const std::vector<float> log_sum_exp(6, 3.0f);
  PolicySpec spec("x:budget=1,sharing=group");
  LayerStep of_layer = step(4);
  of_layer.first = 2;
  PositionSets sets;
  selector_.choose(take_selection_rule(spec, config_), of_layer, {score.data(), log_sum_exp.data(), 4, 4, 2},
                   sets);
  EXPECT_THAT(sets.position, ElementsAre(2, 3));
  for (const float sum : sets.score) EXPECT_NEAR(sum, 3 * std::exp(-1.0f), 1e-5);
}

}  // namespace
}  // namespace tide::testing
