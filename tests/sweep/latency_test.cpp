#include "sweep/latency.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

TEST(Latency, QuantilesInterpolate) {
  const std::vector<double> sorted = {1, 2, 3, 5};
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.0), 1);
  EXPECT_DOUBLE_EQ(quantile(sorted, 1.0), 5);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.25), 7);
}

class LatencyRun : public ::testing::Test {
 protected:
  LatencyRun() {
    const auto text = fresh_path("latency_text.txt");
    std::ofstream(text) << sentences(200);
    plan.config.text = text;
    plan.config.latency_steps = 5;
    plan.config.latency_lengths = {128, 200};
  }
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  Decoder decoder{model, {.kv_dtype = DType::f32, .n_threads = 1}};
  SweepPlan plan = tiny_plan(*model, {"full", "window:budget=16"}, 1, 1);
};

TEST_F(LatencyRun, MeasuresEveryPolicyAtEveryLength) {
  const auto measures = measure_latency(decoder, plan, {}, {});
  ASSERT_EQ(measures.size(), 4u);
  EXPECT_EQ(measures[0].length, 128);
  EXPECT_EQ(measures[3].length, 200);
  EXPECT_EQ(measures[3].budget, "16");
  for (const auto& measure : measures) {
    EXPECT_EQ(measure.steps, 5);
    EXPECT_GT(measure.low_ms, 0);
    EXPECT_LE(measure.low_ms, measure.median_ms);
    EXPECT_LE(measure.median_ms, measure.high_ms);
  }
  const auto file = fresh_path("latency.csv");
  write_latency(file, measures);
  const auto lines = split(read_text(file), '\n');
  EXPECT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines.front(), "policy,placement,budget,map,length,kv_len,batch,median_ms,low_ms,high_ms,steps");
}

TEST_F(LatencyRun, AnInterruptedMeasurementGivesNothing) {
  EXPECT_TRUE(measure_latency(decoder, plan, [] { return true; }, {}).empty());
}

}  // namespace
}  // namespace tide::testing
