// The placement of anchors against trying every one.

#include "calibrate/anchors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace tide {
namespace {

using Worth = std::vector<std::vector<double>>;

Worth random_worth(std::mt19937& random, int n, bool coarse) {
  Worth worth(static_cast<std::size_t>(n), std::vector<double>(static_cast<std::size_t>(n)));
  for (auto& source : worth) {
    for (double& value : source) {
      value = std::uniform_real_distribution<double>(0, 1)(random);
      if (coarse) value = std::floor(value * 3);
    }
  }
  return worth;
}

double value_of(const Worth& worth, const std::vector<int>& anchors) {
  double value = 0;
  std::size_t at = 0;
  for (std::size_t layer = 0; layer < worth.size(); ++layer) {
    while (at + 1 < anchors.size() && anchors[at + 1] <= static_cast<int>(layer)) ++at;
    value += worth[static_cast<std::size_t>(anchors[at])][layer];
  }
  return value;
}

/// The largest value of all sets of `count` layers with layer 0 in them.
double best_by_trying(const Worth& worth, int count) {
  double best = -1;
  for (unsigned set = 1; set < (1u << worth.size()); set += 2) {
    if (__builtin_popcount(set) != count) continue;
    std::vector<int> anchors;
    for (int layer = 0; layer < static_cast<int>(worth.size()); ++layer) {
      if ((set >> layer) & 1) anchors.push_back(layer);
    }
    best = std::max(best, value_of(worth, anchors));
  }
  return best;
}

TEST(Anchors, AreAsGoodAsTheBestOfAll) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 40; ++trial) {
    for (const int n : {1, 2, 3, 7, 10}) {
      const Worth worth = random_worth(random, n, trial % 2 == 0);
      for (int count = 1; count <= n; ++count) {
        const Anchors anchors = best_anchors(worth, count);
        ASSERT_EQ(anchors.layers.size(), static_cast<std::size_t>(count));
        EXPECT_EQ(anchors.layers.front(), 0);
        for (std::size_t i = 1; i < anchors.layers.size(); ++i) {
          EXPECT_GT(anchors.layers[i], anchors.layers[i - 1]);
        }
        EXPECT_NEAR(anchors.value, value_of(worth, anchors.layers), 1e-12);
        EXPECT_NEAR(anchors.value, best_by_trying(worth, count), 1e-12) << n << " layers, " << count;
      }
    }
  }
}

TEST(Anchors, FoundGreedilyGrowOutOfOneAnotherAndNeverBeatTheBest) {
  std::mt19937 random(12);
  for (int trial = 0; trial < 20; ++trial) {
    const int n = 8;
    const Worth worth = random_worth(random, n, trial % 2 == 0);
    std::vector<int> before;
    for (int count = 1; count <= n; ++count) {
      const Anchors anchors = greedy_anchors(worth, count);
      ASSERT_EQ(anchors.layers.size(), static_cast<std::size_t>(count));
      EXPECT_TRUE(std::includes(anchors.layers.begin(), anchors.layers.end(), before.begin(), before.end()));
      EXPECT_NEAR(anchors.value, value_of(worth, anchors.layers), 1e-12);
      EXPECT_LE(anchors.value, best_anchors(worth, count).value + 1e-12);
      before = anchors.layers;
    }
  }
}

TEST(Anchors, FoundGreedilyMissWhatOnlyTwoTogetherGain) {
  // Alone, layer 1 gains most; 2 and 3 together gain more than 1 and 3.
  const Worth worth = {{1, 0, 0, 0}, {0, 0.6, 0.5, 0.4}, {0, 0, 1.3, 0}, {0, 0, 0, 1.4}};
  EXPECT_THAT(greedy_anchors(worth, 2).layers, ::testing::ElementsAre(0, 1));
  EXPECT_THAT(greedy_anchors(worth, 3).layers, ::testing::ElementsAre(0, 1, 3));
  EXPECT_THAT(best_anchors(worth, 3).layers, ::testing::ElementsAre(0, 2, 3));
  EXPECT_NEAR(worth_of(worth, {0, 2, 3}), 1 + 1.3 + 1.4, 1e-12);
  EXPECT_NEAR(worth_of(worth, {0, 1, 3}), 1 + 0.6 + 0.5 + 1.4, 1e-12);
}

TEST(Anchors, FollowWhereTheLayersTurnAway) {
  // Layers 0-2 serve each other, so do 3-5; nothing serves across.
  Worth worth(6, std::vector<double>(6, 0.1));
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = i / 3 * 3; j < i / 3 * 3 + 3; ++j) worth[i][j] = 0.9;
  }
  EXPECT_THAT(best_anchors(worth, 2).layers, ::testing::ElementsAre(0, 3));
}

}  // namespace
}  // namespace tide
