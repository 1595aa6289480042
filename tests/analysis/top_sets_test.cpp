#include "analysis/top_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "analysis/step_sets.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

using testing::ElementsAre;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TopSets top(const std::vector<float>& value, int width, Exclusion excluded = {}) {
  TopSets sets;
  sets.build(std::span<const float>(value), 1, static_cast<std::int64_t>(value.size()), width, excluded);
  return sets;
}

TEST(TopSets, GiveTheSmallerPositionInTies) {
  EXPECT_THAT(top({0.1f, 0.3f, 0.1f, 0.3f, 0.2f}, 4).positions(0), ElementsAre(1, 3, 4, 0));
  EXPECT_THAT(top({0.0f, -0.0f, 0.0f}, 2).positions(0), ElementsAre(0, 1));
}

TEST(TopSets, NeverChooseNan) {
  const TopSets sets = top({kNan, 0.3f, kNan, 0.4f}, 3);
  EXPECT_THAT(sets.positions(0), ElementsAre(3, 1));
  EXPECT_EQ(sets.count(0), 2);
}

TEST(TopSets, LeaveSinksAndRecentPositionsOut) {
  const std::vector<float> value = {0.9f, 0.1f, 0.2f, 0.3f, 0.8f};
  EXPECT_THAT(top(value, 5, {1, 1}).positions(0), ElementsAre(3, 2, 1));
  EXPECT_EQ(top(value, 5, {3, 2}).count(0), 0);
  EXPECT_EQ(top(value, 5, {9, 9}).count(0), 0);
}

TEST(TopSets, KnowTheRankOfEveryPosition) {
  const TopSets sets = top({0.1f, 0.5f, 0.2f}, 2);
  EXPECT_EQ(sets.rank(0, 1), 0);
  EXPECT_EQ(sets.rank(0, 2), 1);
  EXPECT_EQ(sets.rank(0, 0), kMaxTopK);
  EXPECT_EQ(sets.rank(0, 3), kMaxTopK);
}

TEST(KList, IsSortedWithoutRepetitionAndBounded) {
  EXPECT_THAT(normalised_k_list({64, 16, 64}), ElementsAre(16, 64));
  EXPECT_THROW(normalised_k_list({}), InputError);
  EXPECT_THROW(normalised_k_list({0}), InputError);
  EXPECT_THROW(normalised_k_list({65536}), InputError);
}

TEST(Intersection, CountsEveryKOfTheListByHand) {
  const TopSets a = top({0.5f, 0.4f, 0.3f, 0.2f, 0.1f}, 4);  // 0 1 2 3
  const TopSets b = top({0.1f, 0.4f, 0.5f, 0.2f, 0.3f}, 4);  // 2 1 4 3
  Intersection intersection({1, 2, 3, 4});
  std::vector<double> share(4);
  intersection.shares(a, 0, b, 0, share);
  EXPECT_THAT(intersection.counts(), ElementsAre(0, 1, 2, 3));
  EXPECT_DOUBLE_EQ(share[1], 0.5);
  EXPECT_DOUBLE_EQ(share[3], 0.75);
}

TEST(Intersection, TakesFewerPositionsWhenThereAreFewer) {
  const TopSets a = top({0.5f, 0.4f}, 64), b = top({0.1f, 0.2f, 0.3f}, 64);  // 0 1; 2 1 0
  Intersection intersection({1, 64});
  std::vector<double> share(2);
  intersection.shares(a, 0, b, 0, share);  // of two positions each: {0, 1} and {2, 1}
  EXPECT_THAT(intersection.sizes(), ElementsAre(1, 2));
  EXPECT_DOUBLE_EQ(share[1], 0.5);
  intersection.shares(a, 0, top({kNan}, 64), 0, share);
  EXPECT_TRUE(std::isnan(share[0]));
}

TEST(Intersection, AgreesWithSetsAtOddSizes) {
  std::mt19937 random(7);
  for (const int n : {1, 5, 97, 1031}) {
    std::vector<float> x(static_cast<std::size_t>(n)), y(x);
    for (auto* v : {&x, &y}) {
      for (float& p : *v) p = static_cast<float>(random() % 50) / 50;  // many ties
    }
    const TopSets a = top(x, 300), b = top(y, 300);
    Intersection intersection({1, 7, 64, 300});
    std::vector<double> share(4);
    intersection.shares(a, 0, b, 0, share);
    for (std::size_t i = 0; i < 4; ++i) {
      const int size = std::min(intersection.k_list()[i], n);
      int common = 0;
      for (int p = 0; p < n; ++p) common += a.rank(0, p) < size && b.rank(0, p) < size;
      EXPECT_EQ(intersection.counts()[i], common) << "n = " << n << ", seed 7";
    }
  }
}

TEST(StepSets, SumProbabilitiesOverTheGroupOrAllHeads) {
  StepMaps maps;
  maps.kv_len = 3;
  maps.prob = {{0.5f, 0.25f, 0.25f,    // head 0, group 0
                0.0f, 0.75f, 0.25f,    // head 1, group 0
                0.25f, 0.0f, 0.75f,    // head 2, group 1
                0.25f, 0.0f, 0.75f}};  // head 3, group 1
  StepSets group(Sharing::group, 4, 2, 1, {}), layer(Sharing::layer, 4, 2, 1, {}),
      head(Sharing::head, 4, 2, 1, {});
  group.build(maps);
  layer.build(maps);
  head.build(maps);
  EXPECT_THAT(group.sets(0).positions(0), ElementsAre(1));
  EXPECT_THAT(group.sets(0).positions(1), ElementsAre(2));
  EXPECT_DOUBLE_EQ(group.prob(0, 0)[1], 0.5);
  EXPECT_THAT(layer.sets(0).positions(0), ElementsAre(2));
  EXPECT_DOUBLE_EQ(layer.prob(0, 0)[2], 0.5);
  EXPECT_EQ(head.n_rows(), 4);
  EXPECT_THROW(sharing_of_unit("head"), InputError);
}

}  // namespace
}  // namespace tide::analysis
