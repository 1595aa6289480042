// What an offloaded run's slower tier was asked, step by step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "record/export.h"
#include "record/h5.h"
#include "record/inspect.h"
#include "record/reader.h"
#include "record/recover.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class Tier : public ::testing::Test {
 protected:
  void SetUp() override {
    spec_.path = folder_ / "run.h5";
    spec_.steps = 3;
    spec_.tier = true;
    write_synthetic(spec_);
  }

  h5::Handle open() const {
    h5::prepare_thread();
    return h5::Handle(H5Fopen(spec_.path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
  }
  /// Overwrites a count of every step.
  void put(const char* dataset, std::vector<std::int64_t> values) const {
    const h5::Handle file = open();
    const h5::Handle data(H5Dopen2(file.get(), dataset, H5P_DEFAULT));
    ASSERT_GE(H5Dwrite(data.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  }
  void unsound(const std::string& part) const {
    EXPECT_NE(inspect_recording(spec_.path).verdict().find(part), std::string::npos)
        << inspect_recording(spec_.path).verdict();
  }

  TempFolder folder_;
  SyntheticSpec spec_;
};

void expect_counts_of_three_steps(const TierSteps& tier) {
  EXPECT_THAT(tier.bytes, ElementsAre(512, 512 * 3, 512 * 5));  // of the step, not so far
  EXPECT_THAT(tier.wanted, ElementsAre(6, 6, 6));
  EXPECT_THAT(tier.held, ElementsAre(1, 1, 1));
  EXPECT_THAT(tier.predicted, ElementsAre(2, 2, 2));
  EXPECT_THAT(tier.missed, ElementsAre(3, 3, 3));
  EXPECT_THAT(tier.fetched, ElementsAre(4, 4, 4));
  EXPECT_THAT(tier.stall_ms, ElementsAre(0.25f, 0.25f, 0.25f));
}

TEST_F(Tier, CountsAreThoseOfEachStep) {
  EXPECT_EQ(inspect_recording(spec_.path).verdict(), "");
  expect_counts_of_three_steps(*RecordingReader(spec_.path).tier());
}

TEST_F(Tier, IsAbsentFromARunInMemory) {
  SyntheticSpec spec = spec_;
  spec.path = folder_ / "memory.h5";
  spec.tier = false;
  write_synthetic(spec);
  EXPECT_FALSE(RecordingReader(spec.path).tier());
  for (const DatasetFacts& dataset : inspect_recording(spec.path).datasets) {
    EXPECT_EQ(dataset.path.find("tier"), std::string::npos) << dataset.path;
  }
}

TEST_F(Tier, DatasetsSayTheirUnits) {
  std::map<std::string, std::string> units;
  for (const DatasetFacts& dataset : inspect_recording(spec_.path).datasets) {
    if (dataset.path.starts_with("/steps/tier_")) units[dataset.path.substr(12)] = dataset.units;
    EXPECT_FALSE(dataset.path.starts_with("/steps/tier_") && dataset.description.empty()) << dataset.path;
  }
  EXPECT_EQ(units, (std::map<std::string, std::string>{{"bytes", "byte"},
                                                       {"wanted", "block"},
                                                       {"held", "block"},
                                                       {"predicted", "block"},
                                                       {"missed", "block"},
                                                       {"fetched", "block"},
                                                       {"stall_ms", "ms"}}));
}

TEST_F(Tier, IsExported) {
  const auto out = folder_ / "out.csv";
  export_datasets(spec_.path, {"/steps/tier_bytes"}, ExportFormat::csv, out);
  EXPECT_EQ(read_text(out), "step,tier_bytes\n0,512\n1,1536\n2,2560\n");
  export_datasets(spec_.path, {"/steps/tier_stall_ms"}, ExportFormat::csv, out);
  EXPECT_EQ(read_text(out), "step,tier_stall_ms\n0,0.25\n1,0.25\n2,0.25\n");
}

TEST_F(Tier, SurvivesRecovery) {
  SyntheticSpec spec = spec_;
  spec.path = folder_ / "cut.h5";
  {
    const SyntheticRun run(spec);
    Recorder recorder(run.options(), run.origin(), 8);
    for (std::int64_t step = 0; step < 3; ++step) run.feed_step(recorder, step);
  }  // without finish()
  EXPECT_EQ(recover_recording(part_path(spec.path), folder_ / "out.h5"), 3);
  EXPECT_EQ(inspect_recording(folder_ / "out.h5").verdict(), "");
  expect_counts_of_three_steps(*RecordingReader(folder_ / "out.h5").tier());
}

TEST_F(Tier, CountsThatCannotBeAreFound) {
  put("/steps/tier_held", {1, 2, 1});
  unsound("step 1: 7 blocks held, predicted and missed, 6 wanted");
  put("/steps/tier_held", {1, 1, 1});
  put("/steps/tier_fetched", {4, 1, 0});
  unsound("step 2: 6 blocks predicted so far, 5 fetched");
  put("/steps/tier_fetched", {4, 4, 4});
  put("/steps/tier_bytes", {1, 1, -1});
  unsound("step 2: /steps/tier_bytes is -1");
}

TEST_F(Tier, AMissingCountIsFoundByName) {
  const auto remove = [&] {
    const h5::Handle file = open();
    ASSERT_GE(H5Ldelete(file.get(), "/steps/tier_missed", H5P_DEFAULT), 0);
  };
  remove();
  unsound("/steps/tier_missed");
  expect_input_error([&] { RecordingReader(spec_.path).tier(); }, "/steps/tier_missed");
}

TEST_F(Tier, ShortCountsAreFound) {
  const auto shorten = [&] {
    const h5::Handle file = open();
    const h5::Handle data(H5Dopen2(file.get(), "/steps/tier_wanted", H5P_DEFAULT));
    const hsize_t two = 2;
    ASSERT_GE(H5Dset_extent(data.get(), &two), 0);
  };
  shorten();
  unsound("/steps/tier_wanted has 2 steps, expected 3");
}

TEST_F(Tier, IsInTheEstimateOfAFilesSize) {
  SyntheticSpec spec = spec_;
  spec.path = folder_ / "long.h5";
  spec.maps = MapsMode::none;
  spec.placement = "FF";
  spec.steps = spec.max_steps = 3000;
  write_synthetic(spec);
  const SyntheticRun run(spec);
  const RecordingOrigin origin = run.origin();
  RecorderOptions options = run.options();
  const auto estimate = [&] {
    return estimate_bytes(options, origin.config, std::ssize(origin.prompt_ids), spec.steps);
  };
  EXPECT_LE(std::filesystem::file_size(spec.path), estimate());
  const std::uint64_t with = estimate();
  options.tier = false;
  EXPECT_GE(with - estimate(), 3000u * (6 * 8 + 4));
}

}  // namespace
}  // namespace tide::test
