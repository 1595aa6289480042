// LessIsMore's union, on scores made by hand. Whole runs are compared with NumPy in
// tests/oracle/test_policies.py, where near-ties leave room for a neighbour.

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr std::int64_t kLen = 40;

/// What the selection layer 2 chooses from scores [6, kLen].
class Union : public ::testing::Test {
 protected:
  Union() : score_(6 * kLen, 0.0f) {}

  /// The head's best positions, best first; all others are worth less.
  void tops(int head, const std::vector<int>& positions) {
    float value = 100;
    for (const int position : positions) score_[static_cast<std::size_t>(head * kLen + position)] = value--;
  }

  PositionSets choose(const std::string& spec) {
    const auto policy = policy_of(spec + ",select=2");
    const auto state = policy->begin(0);
    LayerStep step{};
    step.layer = 2;
    step.prompt_len = step.kv_len = kLen;
    step.config = &config_;
    step.pool = &pool_;
    const std::vector<float> log_sum_exp(6, 0.0f);
    return *state->observe(step, {score_.data(), log_sum_exp.data(), kLen, kLen});
  }

  ModelConfig config_ = tiny_config();
  kernels::ThreadPool pool_{2};
  std::vector<float> score_;
};

TEST_F(Union, GoesRankByRankThroughTheHeadsAndTakesEachPositionOnce) {
  tops(0, {20, 10, 5});
  tops(1, {20, 11, 6});
  tops(2, {30, 10, 7});
  tops(3, {21, 20, 8});
  tops(4, {30, 12, 9});
  tops(5, {22, 13, 4});
  // Rank 0: 20, 30, 21, 22. Rank 1: 10, 11, (10), (20), 12, 13. Within a rank by position.
  const PositionSets sets = choose("lessismore:budget=8,sinks=0,recent=0");
  EXPECT_THAT(sets.position, ElementsAre(20, 21, 22, 30, 10, 11, 12, 13));
  EXPECT_THAT(sets.score, ElementsAre(0, 0, 0, 0, -1, -1, -1, -1));
}

TEST_F(Union, IsCutInTheOrderOfTheHeads) {
  tops(0, {20, 16});
  tops(1, {21, 15});
  tops(2, {22, 14});
  tops(3, {23, 13});
  tops(4, {24, 12});
  tops(5, {25, 11});
  // Two places are left for rank 1: they are those of heads 0 and 1, though later heads' come earlier in the
  // text.
  const PositionSets sets = choose("lessismore:budget=8,sinks=0,recent=0");
  EXPECT_THAT(sets.position, ElementsAre(20, 21, 22, 23, 24, 25, 15, 16));
}

TEST_F(Union, IsOfTheHeadsOfAGroupWhereGroupsHaveSetsOfTheirOwn) {
  for (int head = 0; head < 6; ++head) tops(head, {10 + head, 20 + head});
  const PositionSets sets = choose("lessismore:budget=4,sinks=0,recent=0,sharing=group");
  EXPECT_EQ(sets.n_sets, 2);
  EXPECT_THAT(sets.position, ElementsAre(10, 11, 12, 20, 13, 14, 15, 23));
  EXPECT_THAT(sets.set_of_head, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST_F(Union, GivesAQuarterToTheLastPositionsAndFourOfItToTheFirst) {
  for (int head = 0; head < 6; ++head) tops(head, {0, 39, 20 + head});  // the forced ones are not voted for
  const PositionSets small = choose("lessismore:budget=16");            // a quarter of 4 has no sinks
  EXPECT_THAT(std::vector(small.position.begin(), small.position.begin() + 4), ElementsAre(36, 37, 38, 39));
  EXPECT_EQ(small.position[4], 0);  // voted for by all
  EXPECT_TRUE(std::isnan(small.score[3]) && small.score[4] == 0);
  const PositionSets large = choose("lessismore:budget=20");  // of 5, four are sinks
  EXPECT_THAT(std::vector(large.position.begin(), large.position.begin() + 11),
              ElementsAreArray({0, 1, 2, 3, 39, 20, 21, 22, 23, 24, 25}));
}

}  // namespace
}  // namespace tide::testing
