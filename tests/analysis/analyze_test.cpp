#include "analysis/analyze.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "analysis/findings.h"
#include "analysis/tables.h"
#include "base/error.h"
#include "base/file.h"
#include "synthetic_recording.h"

namespace tide::analysis {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AnalyzeTest : public testing::Test {
 protected:
  AnalyzeTest() : folder_(fs::temp_directory_path() / ("tide_analyze_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    options_.k_list = {2, 4};
    options_.map_k = 4;
    options_.map_excluded = {1, 1};
  }
  ~AnalyzeTest() override { fs::remove_all(folder_); }

  fs::path record(const std::string& name, test::SyntheticSpec spec) const {
    spec.path = folder_ / name;
    test::write_synthetic(spec);
    return spec.path;
  }
  fs::path record_full(const std::string& name, std::uint64_t seed = 1, std::int64_t prompt_len = 20) const {
    test::SyntheticSpec spec;
    spec.placement = "FFFF";
    spec.seed = seed;
    spec.prompt_len = prompt_len;
    return record(name, spec);
  }
  fs::path record_sparse(const std::string& name, bool shadow) const {
    test::SyntheticSpec spec;
    spec.placement = "FFS.";
    spec.shadow = shadow;
    return record(name, spec);
  }
  std::string refusal(const std::vector<fs::path>& recordings) const {
    try {
      analyze(recordings, options_);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  AnalysisOptions options_;
};

TEST_F(AnalyzeTest, MeasuresAllLayersOfAFullRun) {
  const Analysis analysis = analyze({record_full("a.h5")}, options_);
  EXPECT_TRUE(analysis.layers_without_maps.empty());
  EXPECT_TRUE(analysis.sets.empty());
  const Eigen::MatrixXd overlap = analysis.overlap_head.overlap(1).mean();
  EXPECT_EQ(overlap.rows(), 4);
  EXPECT_TRUE(overlap.isApprox(overlap.transpose()));
  EXPECT_EQ(overlap.diagonal().sum(), 4.0);
  EXPECT_EQ(analysis.map().n_heads, 6);
  // What is read with the same heads is what both layers have in common.
  EXPECT_DOUBLE_EQ(analysis.recall->recall(1, false).mean()(0, 2), overlap(0, 2));
}

TEST_F(AnalyzeTest, WeighsRecordingsByTheirStepsAndKeepsThemApart) {
  const fs::path a = record_full("a.h5", 1), b = record_full("b.h5", 2, 33);
  const Analysis both = analyze({a, b}, options_), first = analyze({a}, options_),
                 second = analyze({b}, options_);
  const auto cell = [](const Analysis& analysis) { return analysis.overlap_head.overlap(1).mean()(0, 3); };
  EXPECT_NEAR(cell(both), (cell(first) + cell(second)) / 2, 1e-12);  // ten steps each
  EXPECT_EQ(both.overlap_head.overlap(1).sample_mean(1)(0, 3), cell(second));
  EXPECT_EQ(both.bootstrap->n_samples(), 2u);
}

TEST_F(AnalyzeTest, MeasuresRecordedSetsAgainstShadowMaps) {
  const Analysis analysis = analyze({record_sparse("s.h5", true)}, options_);
  ASSERT_EQ(analysis.sets.size(), 1u);
  const SetRecallMeter& sets = analysis.sets[0];
  EXPECT_FALSE(sets.has_layer(1));
  ASSERT_TRUE(sets.has_layer(3));
  const Eigen::MatrixXd values = sets.values().mean();
  EXPECT_EQ(values(3, sets.size()), 8.0);  // the budget
  // The selection layer keeps two sinks and the best six of its own maps: its top-4 is all there.
  EXPECT_EQ(values(2, 1), 1.0);
  EXPECT_LT(values(3, 1), 1.0);
  EXPECT_GT(values(2, sets.mass()), values(3, sets.mass()));
}

TEST_F(AnalyzeTest, TakesMapsFromFullRunsWhenThereAreAny) {
  const fs::path full = record_full("f.h5"), sparse = record_sparse("s.h5", true);
  const Analysis analysis = analyze({sparse, full}, options_);
  EXPECT_FALSE(analysis.samples[0].in_maps);
  EXPECT_TRUE(analysis.samples[1].in_maps);
  EXPECT_EQ(analysis.sets.size(), 1u);
  EXPECT_TRUE(analysis.overlap_head.overlap(0).mean() ==
              analyze({full}, options_).overlap_head.overlap(0).mean());
}

TEST_F(AnalyzeTest, SaysHowToRecordWhenASparseRunHasNoFullMaps) {
  const std::string message = refusal({record_sparse("s.h5", false)});
  EXPECT_THAT(message, HasSubstr("s.h5"));
  EXPECT_THAT(message, HasSubstr("--policy full"));
  EXPECT_THAT(message, HasSubstr("--shadow"));
  test::SyntheticSpec none;
  none.maps = MapsMode::none;
  EXPECT_THAT(refusal({record("n.h5", none)}), HasSubstr("--maps full"));
}

TEST_F(AnalyzeTest, RefusesRecordingsThatDoNotBelongTogether) {
  test::SyntheticSpec other;
  other.placement = "FFFFF";
  const fs::path a = record_full("a.h5"), b = record("b.h5", other);
  EXPECT_THAT(refusal({a, b}), HasSubstr("5 layers"));
  EXPECT_THAT(refusal({a, folder_ / "." / "a.h5"}), HasSubstr("named twice"));
  EXPECT_THAT(refusal({}), HasSubstr("none named"));
  EXPECT_THAT(refusal({folder_ / "absent.h5"}), HasSubstr("absent.h5"));
}

TEST_F(AnalyzeTest, LeavesLayersThatWereNotRecordedBlank) {
  test::SyntheticSpec spec;
  spec.placement = "FFFF";
  spec.layers = {true, false, true, true};
  const Analysis analysis = analyze({record("l.h5", spec)}, options_);
  EXPECT_THAT(analysis.layers_without_maps, testing::ElementsAre(1));
  EXPECT_TRUE(std::isnan(analysis.overlap_head.overlap(0).mean()(0, 1)));
  EXPECT_FALSE(std::isnan(analysis.overlap_head.overlap(0).mean()(0, 2)));
  write_tables(folder_, analysis);
  EXPECT_FALSE(fs::exists(folder_ / "headmap.json"));
  EXPECT_THAT(read_text(folder_ / "recall.csv"), HasSubstr("\n2,0,1,nan,nan,nan,nan,nan,nan\n"));
}

TEST_F(AnalyzeTest, MeasuresAGivenMapAndRefusesAnotherModels) {
  const fs::path a = record_full("a.h5", 1), b = record_full("b.h5", 2);
  AnalysisOptions with_map = options_;
  with_map.map = analyze({b}, options_).map();
  const Analysis analysis = analyze({a}, with_map);
  EXPECT_FALSE(analysis.made_map.has_value());
  EXPECT_EQ(analysis.map().source_head, with_map.map->source_head);
  with_map.map->model_sha256 = "another";
  EXPECT_THROW(analyze({a}, with_map), InputError);
  with_map.map = analyze({b}, options_).map();
  with_map.unit = "kv_head";
  EXPECT_THROW(analyze({a}, with_map), InputError);
}

TEST_F(AnalyzeTest, WritesAHeadMapThatReadsBackAndASummary) {
  options_.unit = "kv_head";
  const Analysis analysis = analyze({record_full("a.h5")}, options_);
  write_tables(folder_, analysis);
  const HeadMap map = read_head_map(folder_ / "headmap.json");
  EXPECT_EQ(map.unit, "kv_head");
  EXPECT_EQ(map.n_heads, 3);
  EXPECT_EQ(map.k, 4);
  EXPECT_EQ(map.excluded_recent, 1);
  EXPECT_EQ(map.source_head, analysis.map().source_head);
  const std::string summary = summary_json(analysis, find(analysis));
  EXPECT_THAT(summary, HasSubstr("\"adjacent_overlap\""));
  EXPECT_THAT(summary, HasSubstr("\"low\": null"));  // one recording: no interval
}

TEST_F(AnalyzeTest, StopsWhenTold) {
  options_.progress = [](std::int64_t done, std::int64_t) { return done < 3; };
  EXPECT_TRUE(analyze({record_full("a.h5")}, options_).stopped);
}

}  // namespace
}  // namespace tide::analysis
