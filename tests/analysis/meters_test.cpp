// Overlap, recall, mass, persistence and head map on maps small enough to read by eye.

#include <gtest/gtest.h>

#include <cmath>

#include "analysis/head_map_maker.h"
#include "analysis/overlap.h"
#include "analysis/persistence.h"
#include "analysis/recall.h"
#include "analysis/union_size.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

/// Two heads over four positions. Layer 0's heads look at {0, 1} and {2, 3}; layer 1's heads do so the
/// other way round; layer 2 was not recorded.
StepMaps crossed() {
  StepMaps maps;
  maps.kv_len = 4;
  maps.prob = {{0.625f, 0.375f, 0.0f, 0.0f, /**/ 0.0f, 0.0f, 0.375f, 0.625f},
               {0.0f, 0.125f, 0.5f, 0.375f, /**/ 0.75f, 0.25f, 0.0f, 0.0f},
               {}};
  return maps;
}

StepSets head_sets(const StepMaps& maps, int width = 2, Exclusion excluded = {}) {
  StepSets sets(Sharing::head, 2, 1, width, excluded);
  sets.build(maps);
  return sets;
}

HeadMap identity() {
  HeadMap map;
  map.n_layers = 3;
  map.n_heads = 2;
  map.source_head = {{{}, {0, 1}, {0, 1}}, {{}, {}, {0, 1}}, {{}, {}, {}}};
  map.mass.assign(3, std::vector<std::vector<float>>(3));
  return map;
}

TEST(OverlapMeter, IsZeroAcrossCrossedHeadsAndOneWithItself) {
  OverlapMeter meter({1, 2}, 3);
  meter.begin_sample();
  meter.add_step(head_sets(crossed()));
  const Eigen::MatrixXd overlap = meter.overlap(1).mean(), jaccard = meter.jaccard(1).mean();
  EXPECT_EQ(overlap(0, 0), 1.0);
  EXPECT_EQ(jaccard(1, 1), 1.0);
  EXPECT_EQ(overlap(0, 1), 0.0);
  EXPECT_EQ(overlap(1, 0), 0.0);
  EXPECT_TRUE(std::isnan(overlap(0, 2)));
  EXPECT_TRUE(std::isnan(overlap(2, 2)));
}

TEST(UnionMeter, CountsEachPositionOfSeveralHeadsOnce) {
  StepMaps maps = crossed();                                                   // layer 0: {0, 1} and {3, 2}
  maps.prob[1] = {0.5f, 0.25f, 0.125f, 0.0f, /**/ 0.5f, 0.125f, 0.25f, 0.0f};  // {0, 1} and {0, 2}
  UnionMeter meter({1, 2}, 3, 2);
  meter.begin_sample();
  meter.add_step(head_sets(maps));
  const Eigen::MatrixXd first = meter.size(0).mean(), both = meter.size(1).mean();
  EXPECT_EQ(first(0, UnionMeter::kAll), 2);
  EXPECT_EQ(both(0, UnionMeter::kAll), 4);
  EXPECT_EQ(first(1, UnionMeter::kAll), 1);
  EXPECT_EQ(both(1, UnionMeter::kAll), 3);
  EXPECT_EQ(both(1, UnionMeter::kGroup), 3);  // one group of both heads
  EXPECT_TRUE(std::isnan(both(2, UnionMeter::kAll)));
}

TEST(UnionMeter, TakesTheMeanOverGroups) {
  UnionMeter meter({2}, 3, 1);  // groups of one head
  meter.begin_sample();
  meter.add_step(head_sets(crossed()));
  EXPECT_EQ(meter.size(0).mean()(0, UnionMeter::kGroup), 2);
  EXPECT_EQ(meter.size(0).mean()(0, UnionMeter::kAll), 4);
}

TEST(OverlapMeter, AveragesOverStepsOfAllSamplesAndKeepsEachSample) {
  StepMaps same = crossed();
  same.prob[1] = same.prob[0];
  OverlapMeter meter({2}, 3);
  meter.begin_sample();
  meter.add_step(head_sets(crossed()));
  meter.begin_sample();
  for (int step = 0; step < 3; ++step) meter.add_step(head_sets(same));
  EXPECT_DOUBLE_EQ(meter.overlap(0).mean()(0, 1), 0.75);
  EXPECT_DOUBLE_EQ(meter.overlap(0).sample_mean(0)(0, 1), 0.0);
  EXPECT_DOUBLE_EQ(meter.overlap(0).sample_mean(1)(0, 1), 1.0);
}

TEST(OverlapMeter, PutsJaccardBesideTheShare) {
  StepMaps maps = crossed();
  maps.prob[1] = {0.5f, 0.0f, 0.5f, 0.0f, /**/ 0.0f, 0.5f, 0.0f, 0.5f};  // one of two positions in common
  OverlapMeter meter({2}, 3);
  meter.begin_sample();
  meter.add_step(head_sets(maps));
  EXPECT_DOUBLE_EQ(meter.overlap(0).mean()(0, 1), 0.5);
  EXPECT_DOUBLE_EQ(meter.jaccard(0).mean()(0, 1), 1.0 / 3.0);
}

TEST(HeadMapMaker, FindsTheCrossedHeads) {
  HeadMapMaker maker(2, 3, 2);
  maker.add_step(head_sets(crossed()));
  const HeadMap map = maker.make();
  EXPECT_EQ(map.source_head[0][1], (std::vector<int>{1, 0}));
  EXPECT_FLOAT_EQ(map.mass[0][1][0], 0.875f);
  EXPECT_FLOAT_EQ(map.mass[0][1][1], 1.0f);
  EXPECT_DOUBLE_EQ(maker.same_head_mass()[0][1][0], 0.125);
  EXPECT_TRUE(map.source_head[1][0].empty());
  EXPECT_EQ(map.source_head[0][2], (std::vector<int>{0, 1}));
  EXPECT_TRUE(std::isnan(map.mass[0][2][0]));
}

TEST(HeadMapMaker, PrefersTheSameHeadAndThenTheSmallerInTies) {
  StepMaps maps;
  maps.kv_len = 2;
  // Heads 0 and 1 of layer 0 choose position 0, head 2 chooses position 1; all of layer 1 wants position 0.
  maps.prob = {{1, 0, /**/ 1, 0, /**/ 0, 1}, {1, 0, /**/ 1, 0, /**/ 1, 0}};
  StepSets sets(Sharing::head, 3, 3, 1, {});
  sets.build(maps);
  HeadMapMaker maker(1, 2, 3);
  maker.add_step(sets);
  EXPECT_EQ(maker.make().source_head[0][1], (std::vector<int>{0, 1, 0}));
}

TEST(HeadMapMaker, GivesExcludedPositionsNoMass) {
  HeadMapMaker maker(2, 3, 2);
  maker.add_step(head_sets(crossed(), 2, {1, 1}));  // positions 1 and 2 stay
  const HeadMap map = maker.make();
  EXPECT_FLOAT_EQ(map.mass[0][1][0], 0.625f);  // 0.125 + 0.5; a tie of both sources
  EXPECT_EQ(map.source_head[0][1], (std::vector<int>{0, 1}));
}

TEST(RecallMeter, RisesFromNothingToEverythingWithTheMap) {
  HeadMapMaker maker(2, 3, 2);
  const StepSets sets = head_sets(crossed());
  maker.add_step(sets);
  RecallMeter meter({1, 2}, 3, 2, maker.make());
  meter.begin_sample();
  meter.add_step(sets);
  EXPECT_DOUBLE_EQ(meter.recall(1, false).mean()(0, 1), 0.0);
  EXPECT_DOUBLE_EQ(meter.recall(1, true).mean()(0, 1), 1.0);
  EXPECT_DOUBLE_EQ(meter.mass(1, false).mean()(0, 1), (0.125 + 0.0) / 2);
  EXPECT_DOUBLE_EQ(meter.mass(1, true).mean()(0, 1), (0.875 + 1.0) / 2);
  // k = 1: source head 1 chose position 3 (0.375 of head 0), source head 0 position 0 (0.75 of head 1).
  EXPECT_DOUBLE_EQ(meter.mass(0, true).mean()(0, 1), (0.375 + 0.75) / 2);
  EXPECT_TRUE(std::isnan(meter.recall(1, true).mean()(1, 0)));
  EXPECT_TRUE(std::isnan(meter.recall(1, true).mean()(0, 2)));
}

TEST(RecallMeter, RefusesAMapOfAnotherShape) {
  EXPECT_THROW(RecallMeter({1}, 3, 3, identity()), InputError);
  EXPECT_THROW(RecallMeter({1}, 4, 2, identity()), InputError);
}

TEST(PersistenceMeter, ComparesStepsOfEqualDistance) {
  StepMaps early = crossed(), late = crossed();
  late.prob[0] = {0.0f, 0.5f, 0.5f, 0.0f, 0.0f, /**/ 0.0f, 0.0f, 0.5f, 0.5f, 0.0f};  // {1, 2}, {2, 3}
  late.prob[1] = {};
  late.kv_len = 5;
  PersistenceMeter meter({2}, 3, 4);
  meter.begin_sample();
  for (const StepMaps* maps : {&early, &early, &late}) meter.add_step(head_sets(*maps));
  const Eigen::MatrixXd persistence = meter.persistence(0).mean();
  EXPECT_DOUBLE_EQ(persistence(0, 0), (1.0 + (0.5 + 1.0) / 2) / 2);  // steps 0-1, 1-2
  EXPECT_DOUBLE_EQ(persistence(0, 1), (0.5 + 1.0) / 2);              // steps 0-2
  EXPECT_TRUE(std::isnan(persistence(0, 2)));
  EXPECT_DOUBLE_EQ(persistence(1, 0), 1.0);
  EXPECT_TRUE(std::isnan(persistence(1, 1)));
}

TEST(PersistenceMeter, ForgetsStepsOfAnotherSampleAndBeyondTheDistance) {
  PersistenceMeter meter({2}, 3, 1);
  meter.begin_sample();
  meter.add_step(head_sets(crossed()));
  meter.begin_sample();
  meter.add_step(head_sets(crossed()));
  EXPECT_TRUE(std::isnan(meter.persistence(0).mean()(0, 0)));
  meter.add_step(head_sets(crossed()));
  EXPECT_EQ(meter.persistence(0).mean()(0, 0), 1.0);
  EXPECT_EQ(meter.persistence(0).mean().cols(), 1);
}

}  // namespace
}  // namespace tide::analysis
