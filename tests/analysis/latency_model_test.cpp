#include "analysis/latency_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/expect_error.h"

namespace tide::analysis {
namespace {

using testing::expect_input_error;

/// A machine whose layers take known times.
double machine_ms(const std::string& placement, double kv_len, double budget) {
  double ms = 6;
  for (const char letter : placement) {
    if (letter == 'F') ms += 0.4e-3 * kv_len;
    if (letter == 'S') ms += 0.02 + 0.55e-3 * kv_len + 0.1e-3 * budget;
    if (letter == '.') ms += 0.01 + 0.6e-3 * budget;
  }
  return ms;
}

std::vector<LatencySample> measured(const std::vector<std::string>& placements, double noise) {
  std::vector<LatencySample> samples;
  for (const std::string& placement : placements) {
    for (const double kv_len : {500.0, 1000.0, 4000.0}) {
      for (const double budget : {32.0, 64.0, 256.0}) {
        const double off = 1 + noise * std::sin(static_cast<double>(samples.size()) * 2.3);
        samples.push_back({placement, kv_len, budget, machine_ms(placement, kv_len, budget) * off});
      }
    }
  }
  return samples;
}

const std::vector<std::string> kMeasured = {"FFFFFFFFFF", "FFS.......", "FFS...S...", "FFS.S.S.S.",
                                            "FFFFFS...."};

TEST(LatencyModel, FindsTheTimesOfTheLayers) {
  const auto model = LatencyModel::fit(measured(kMeasured, 0));
  for (const char* placement : {"FFS..S....", "FFFS......", "FFSSSS...."}) {
    EXPECT_NEAR(model.predict_ms(placement, 2500, 128), machine_ms(placement, 2500, 128), 1e-6);
  }
}

TEST(LatencyModel, PredictsWhatWasHeldOut) {
  const auto model = LatencyModel::fit(measured(kMeasured, 0.02));
  const auto errors = model.errors_on(measured({"FFS..S....", "FFFS..S..."}, 0));
  EXPECT_LT(errors.largest, 0.03);
  EXPECT_LE(errors.mean, errors.largest);
}

TEST(LatencyModel, ABudgetBeyondTheCacheReadsTheCache) {
  const auto model = LatencyModel::fit(measured(kMeasured, 0));
  EXPECT_EQ(model.predict_ms("FFS.......", 300, 1000), model.predict_ms("FFS.......", 300, 300));
}

TEST(LatencyModel, RefusesWhatItCannotFit) {
  auto samples = measured({"FFS......."}, 0);
  samples.resize(6);
  expect_input_error([&] { LatencyModel::fit(samples); }, "6 measurements, expected at least 7");
  samples = measured(kMeasured, 0);
  samples[3].ms = 0;
  expect_input_error([&] { LatencyModel::fit(samples); }, "expected more than 0");
  samples = measured(kMeasured, 0);
  samples[0].placement = "FFK";
  expect_input_error([&] { LatencyModel::fit(samples); }, "has the letter K");
}

}  // namespace
}  // namespace tide::analysis
