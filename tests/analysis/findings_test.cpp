#include "analysis/findings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tide::analysis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Recall that falls by 0.1 a layer of distance: the nearer, the better.
Eigen::MatrixXd falling(int n_layers) {
  Eigen::MatrixXd recall = Eigen::MatrixXd::Constant(n_layers, n_layers, kNan);
  for (int i = 0; i < n_layers; ++i) {
    for (int j = i + 1; j < n_layers; ++j) recall(i, j) = 1.0 - 0.1 * (j - i);
  }
  return recall;
}

TEST(PlacementRecall, ReadsTheLastSelectionBeforeEachLayer) {
  const Eigen::MatrixXd recall = falling(6);
  EXPECT_DOUBLE_EQ(placement_recall(recall, 2, -1), (0.9 + 0.8 + 0.7) / 3);
  EXPECT_DOUBLE_EQ(placement_recall(recall, 2, 4), (0.9 + 0.9) / 2);  // layer 4 selects, so it is not served
  EXPECT_TRUE(std::isnan(placement_recall(recall, 5, -1)));
}

TEST(PlacementRecall, LeavesLayersWithoutMapsOut) {
  Eigen::MatrixXd recall = falling(6);
  recall(2, 4) = kNan;
  EXPECT_DOUBLE_EQ(placement_recall(recall, 2, -1), (0.9 + 0.7) / 2);
}

TEST(BestReselection, LiesInTheMiddleWhenRecallFallsWithDistance) {
  const BestLayer best = best_reselection(falling(12), 2);
  EXPECT_EQ(best.layer, 7);  // serves 4 layers from 2 and 4 from 7
  EXPECT_EQ(best_reselection(falling(3), 2).layer, -1);
}

TEST(BestSingleSelection, IsOneThatServesHalfOfTheLayers) {
  EXPECT_EQ(best_single_selection(falling(10)).layer, 4);
  Eigen::MatrixXd recall = falling(10);
  recall.row(1).setConstant(0.99);
  EXPECT_EQ(best_single_selection(recall).layer, 1);
}

}  // namespace
}  // namespace tide::analysis
