// Paired comparisons, perplexity, scores and ratios of a sweep's summary, against values computed apart.

#include <gtest/gtest.h>

#include <cmath>

#include "analysis/output_error.h"
#include "analysis/paired.h"
#include "base/file.h"
#include "page_helpers.h"
#include "support/expect_error.h"

namespace tide::analysis {
namespace {

using test::Environment;
using test::Folder;
using testing::expect_input_error;

/// A row of task "t" with a yes/no answer.
ResultRow judged(const std::string& policy, int sample, bool right, const std::string& budget = "") {
  ResultRow row;
  row.task = "t";
  row.length = 512;
  row.policy = policy;
  row.budget = budget;
  row.placement = "FFFF";
  row.sample = std::to_string(sample);
  row.seed = "0";
  row.status = "ok";
  row.correct = right;
  row.score = right ? 1 : 0;
  row.rows_read = policy == "full" ? 512 : 64;
  return row;
}

/// The same with a score between 0 and 1 and no yes or no.
ResultRow scored(const std::string& policy, int sample, double score, const std::string& budget = "") {
  ResultRow row = judged(policy, sample, false, budget);
  row.correct = std::nullopt;
  row.score = score;
  return row;
}

const Configuration& of(const SweepSummary& summary, const std::string& policy) {
  for (const Configuration& c : summary.configurations) {
    if (c.policy == policy) return c;
  }
  throw std::runtime_error(policy);
}

const Comparison& pair(const SweepSummary& summary, const std::string& policy, const std::string& against) {
  for (const Comparison& c : summary.comparisons) {
    if (c.policy == policy && c.against == against) return c;
  }
  throw std::runtime_error(policy + " against " + against);
}

TEST(Paired, CountsDiscordantSamplesAgainstFullAndTheOracleOfTheSameBudget) {
  std::vector<ResultRow> rows;
  // full: right on 0-9; quest: right on 5-10, wrong on 0-4 and 11: 5 against 1.
  for (int i = 0; i < 12; ++i) {
    rows.push_back(judged("full", i, i < 10));
    rows.push_back(judged("quest:budget=64", i, i >= 5 && i <= 10, "64"));
    rows.push_back(judged("oracle:budget=64", i, i < 8, "64"));
    rows.push_back(judged("oracle:budget=32", i, false, "32"));
  }
  const SweepSummary summary = summarise(rows, {});
  const Comparison& full = pair(summary, "quest:budget=64", "full");
  EXPECT_EQ(full.n, 12);
  EXPECT_EQ(full.both, 5);
  EXPECT_EQ(full.only_policy, 1);
  EXPECT_EQ(full.only_reference, 5);
  EXPECT_EQ(full.neither, 1);
  EXPECT_NEAR(full.p, 0.21875, 1e-12);  // 2 (C(6,0) + C(6,1)) / 2^6, by fractions
  EXPECT_NEAR(full.score_difference.mean, -4.0 / 12, 1e-12);
  const Comparison& oracle = pair(summary, "quest:budget=64", "oracle");
  EXPECT_EQ(oracle.reference, "oracle:budget=64");
  EXPECT_EQ(oracle.only_policy, 3);
  EXPECT_EQ(oracle.only_reference, 5);
  EXPECT_THROW(pair(summary, "oracle:budget=64", "oracle"), std::runtime_error) << "not against itself";
  EXPECT_THROW(pair(summary, "full", "full"), std::runtime_error);
}

TEST(Paired, FailedRowsAreInNoPair) {
  std::vector<ResultRow> rows;
  for (int i = 0; i < 4; ++i) {
    rows.push_back(judged("full", i, true));
    rows.push_back(judged("window:budget=8", i, false, "8"));
  }
  rows[1].status = "out of memory";
  rows[2].status = "out of memory";
  const SweepSummary summary = summarise(rows, {});
  EXPECT_EQ(pair(summary, "window:budget=8", "full").n, 2);
  EXPECT_EQ(of(summary, "window:budget=8").n, 3);
  EXPECT_EQ(of(summary, "window:budget=8").failed, 1);
  EXPECT_EQ(of(summary, "window:budget=8").score.n, 3);
}

TEST(Paired, HolmStepsDown) {
  // 0.01 x 4, 0.02 x 3, 0.03 x 2 (not below the one before), 0.9 x 1; by hand.
  const auto adjusted = holm_adjusted({0.9, 0.01, 0.03, 0.02});
  EXPECT_NEAR(adjusted[1], 0.04, 1e-12);
  EXPECT_NEAR(adjusted[3], 0.06, 1e-12);
  EXPECT_NEAR(adjusted[2], 0.06, 1e-12);
  EXPECT_NEAR(adjusted[0], 0.9, 1e-12);
  EXPECT_EQ(holm_adjusted({0.5, 0.6})[1], 1.0);
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(Paired, ScoresWithoutYesAndNoHaveADifferenceAndNoTest) {
  std::vector<ResultRow> rows;
  for (int i = 0; i < 6; ++i) {
    rows.push_back(scored("full", i, 0.5 + 0.05 * i));
    rows.push_back(scored("random:budget=8", i, 0.25 + 0.05 * i, "8"));
  }
  const SweepSummary summary = summarise(rows, {});
  const Comparison& one = pair(summary, "random:budget=8", "full");
  EXPECT_EQ(one.n, 0);
  EXPECT_TRUE(std::isnan(one.p));
  EXPECT_NEAR(one.score_difference.mean, -0.25, 1e-12);
  EXPECT_NEAR(one.score_difference.low, -0.25, 1e-12) << "every sample differs by the same";
}

TEST(SweepScores, ARatioToFullNeedsAFullThatSucceeds) {
  std::vector<ResultRow> rows;
  for (int i = 0; i < 4; ++i) {
    rows.push_back(judged("full", i, i < 2));
    rows.push_back(judged("quest:budget=8", i, i < 1, "8"));
  }
  EXPECT_NEAR(of(summarise(rows, {}), "quest:budget=8").score_to_full, 0.5, 1e-12);
  rows[0].score = 0;  // full's mean score is now 1 of 4
  rows[0].correct = false;
  EXPECT_TRUE(std::isnan(of(summarise(rows, {}), "quest:budget=8").score_to_full));
}

TEST(SweepScores, YesAndNoHaveWilsonsIntervalAndSharesABootstrap) {
  std::vector<ResultRow> rows;
  for (int i = 0; i < 10; ++i) {
    rows.push_back(judged("full", i, i < 9));
    rows.push_back(scored("window:budget=8", i, i % 2 == 0 ? 0.5 : 0.25, "8"));
  }
  const SweepSummary summary = summarise(rows, {});
  // Wilson 1927 for 9 of 10: 0.5958 to 0.9821 (computed apart).
  EXPECT_NEAR(of(summary, "full").score.low, 0.5958, 1e-4);
  EXPECT_NEAR(of(summary, "full").score.high, 0.9821, 1e-4);
  const Estimate& shares = of(summary, "window:budget=8").score;
  EXPECT_NEAR(shares.mean, 0.375, 1e-12);
  EXPECT_GT(shares.low, 0.25);
  EXPECT_LT(shares.high, 0.5);
}

TEST(SweepScores, PerplexityWeighsBlocksByTheirTokens) {
  ResultRow row = scored("full", 0, ResultRow::kNone);
  row.scored_tokens = 64 + 16;
  row.block_nll = {1.0, 3.0};
  SweepSummary summary = summarise({row}, {});
  EXPECT_NEAR(of(summary, "full").perplexity.mean, std::exp((64 * 1.0 + 16 * 3.0) / 80), 1e-9);
  EXPECT_GE(of(summary, "full").perplexity.low, std::exp(1.0) - 1e-9);
  EXPECT_LE(of(summary, "full").perplexity.high, std::exp(3.0) + 1e-9);
  row.block_nll = {2.0};
  row.scored_tokens = 64;
  summary = summarise({row}, {});
  EXPECT_NEAR(of(summary, "full").perplexity.mean, std::exp(2.0), 1e-9);
  EXPECT_TRUE(std::isnan(of(summary, "full").perplexity.low)) << "one block says nothing of the spread";
}

TEST(SweepScores, BlocksAreReadFromTheFile) {
  const Folder folder;
  const std::string header =
      "task,length,sample,seed,policy,placement,map,budget,correct,rows_read,status,block_nll,scored_"
      "tokens\n";
  write_text_atomically(folder.path / "results.csv", header + "p,128,0,0,full,FF,,,,9,ok,1.5+2.25,100\n");
  const auto rows = read_results(folder.path / "results.csv");
  EXPECT_EQ(rows[0].block_nll, (std::vector<double>{1.5, 2.25}));
  EXPECT_EQ(rows[0].scored_tokens, 100);
  EXPECT_TRUE(rows[0].extra.empty());
  write_text_atomically(folder.path / "results.csv", header + "p,128,0,0,full,FF,,,,9,ok,1.5+x,100\n");
  expect_input_error([&] { read_results(folder.path / "results.csv"); }, "line 2, column block_nll");
}

TEST(SweepMethods, ALineJoinsTheBudgetsOfOneMethod) {
  std::vector<ResultRow> rows;
  const auto add = [&](const std::string& policy, const std::string& budget, const std::string& placement,
                       const std::string& map = "") {
    rows.push_back(judged(policy, 0, true, budget));
    rows.back().placement = placement;
    rows.back().map = map;
    rows.back().sharing = "head";
  };
  add("quest:budget=32,page=16", "32", "FFEE");
  add("quest:budget=64,page=16", "64", "FFEE");
  add("tidal:budget=32,map=none,placement=FS..", "32", "FS..");
  add("tidal:budget=32,map=m.json,placement=FS..", "32", "FS..", "m.json");
  const std::string estimate = "placement=FFEE,recent=0";
  for (const char* spec : {"label:budget=32,channels=4,by=qk,", "label:budget=64,channels=4,by=qk,",
                           "label:budget=32,channels=16,by=qk,", "label:budget=32,channels=16,by=q,"})
    add(spec + estimate, "32", "FFEE");
  const SweepSummary summary = summarise(rows, {});
  EXPECT_EQ(of(summary, "label:budget=32,channels=4,by=qk," + estimate).method, "label by=qk, channels=4");
  EXPECT_EQ(of(summary, "label:budget=64,channels=4,by=qk," + estimate).method, "label by=qk, channels=4");
  EXPECT_EQ(of(summary, "label:budget=32,channels=16,by=q," + estimate).method, "label by=q, channels=16");
  EXPECT_EQ(of(summary, "quest:budget=32,page=16").method, "quest");
  EXPECT_EQ(of(summary, "quest:budget=64,page=16").method, "quest");
  EXPECT_EQ(of(summary, "tidal:budget=32,map=none,placement=FS..").method, "tidal 1, same head");
  EXPECT_EQ(of(summary, "tidal:budget=32,map=m.json,placement=FS..").method, "tidal 1, mapped heads");
}

TEST(SweepParameters, AreChartedWhereThereAreThreeNumbersOfOne) {
  const Folder folder;
  std::vector<ResultRow> rows = {judged("full", 0, true, "")};
  for (const char* budget : {"32", "64"}) {
    for (const char* share : {"1/16", "1/8", "1/2"}) {
      const std::string page = std::string(share) == "1/2" ? "8" : "16";  // two numbers: not charted
      rows.push_back(
          judged(fmt::format("label:budget={},channels={},page={}", budget, share, page), 0, true, budget));
      rows.back().kl = 0.25;
    }
  }
  const auto stems = write_parameter_figures(folder.path, summarise(rows, {}));
  EXPECT_THAT(stems, ::testing::UnorderedElementsAre("parameter_label_channels_score",
                                                     "parameter_label_channels_kl"));
  const std::string chart = read_text(folder.path / "parameter_label_channels_score.svg");
  for (const char* text : {"budget 32", "budget 64", "full attention", "Score against channels of label"})
    EXPECT_NE(chart.find(text), std::string::npos) << text;
}

TEST(SweepMethods, ChartsNeedleMapsAndTablesAreWritten) {
  const Folder folder;
  std::vector<ResultRow> rows;
  for (const std::int64_t length : {512, 1024}) {
    for (const double depth : {0.1, 0.9}) {
      for (const char* policy : {"full", "quest:budget=32", "quest:budget=64", "oracle:budget=64"}) {
        ResultRow row = judged(
            policy, 0, depth < 0.5,
            std::string(policy) == "full" ? "" : std::string(policy).substr(std::string(policy).size() - 2));
        row.depth = depth;
        row.length = length;
        row.rows_read = row.budget.empty() ? 500 : std::stod(row.budget);
        row.kl = 0.1;
        row.agree = 0.9;
        rows.push_back(row);
      }
    }
  }
  const SweepSummary summary = summarise(rows, {});
  const auto stems = write_method_figures(folder.path, summary);
  for (const char* stem : {"methods_score_t_512", "methods_kl_t_1024", "methods_agree_t_512",
                           "needle_map_t_32", "needle_map_t_64"}) {
    EXPECT_NE(std::find(stems.begin(), stems.end(), stem), stems.end()) << stem;
    EXPECT_GT(std::filesystem::file_size(folder.path / (std::string(stem) + ".svg")), 1000u) << stem;
  }
  EXPECT_NE(read_text(folder.path / "methods_score_t_512.svg").find("full attention"), std::string::npos);
  write_significance(folder.path / "significance.csv", summary.comparisons);
  const std::string significance = read_text(folder.path / "significance.csv");
  EXPECT_NE(significance.find("t,512,quest:budget=64,oracle,oracle:budget=64,2,1,0,0,1,1,1,2,0,0,0\n"),
            std::string::npos)
      << significance;
  write_table(folder.path / "table.csv", summary.configurations);
  const std::string table = read_text(folder.path / "table.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 9);
  const auto header_end = table.find('\n');
  const auto second_end = table.find('\n', header_end + 1);
  EXPECT_EQ(std::count(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(header_end), ','),
            std::count(table.begin() + static_cast<std::ptrdiff_t>(header_end),
                       table.begin() + static_cast<std::ptrdiff_t>(second_end), ','));
}

TEST(OutputErrors, ARowThatStandsTwiceCountsOnce) {
  const Folder folder;
  const std::string header = "task,length,depth,sample,seed,policy,layer,output_error\n";
  const auto file = folder.path / "output_error.csv";
  write_text_atomically(file, header +
                                  "t,64,,0,0,w,0,0.5\nt,64,,0,0,w,1,0.25\nt,64,,0,0,w,0,0.1\n"
                                  "t,64,,0,0,w,1,0.2\nt,64,,1,0,w,0,0.3\nt,64,,1,0,w,1,0.4\n");
  const auto errors = read_output_errors(file);
  ASSERT_EQ(errors.size(), 1u);
  ASSERT_EQ(errors[0].layer.size(), 2u);
  EXPECT_EQ(errors[0].layer[0].n, 2);
  EXPECT_NEAR(errors[0].layer[0].mean, 0.2, 1e-12);
  EXPECT_NEAR(errors[0].layer[1].mean, 0.3, 1e-12);
  write_output_errors(folder.path, errors, {});
  EXPECT_NE(read_text(folder.path / "output_error_by_layer.csv").find("\"t\",64,\"w\",1,2,0.3,"),
            std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder.path / "output_error.png"));
  write_text_atomically(file, header + "t,64,,0,0,w,1,0.5\n");
  expect_input_error([&] { read_output_errors(file); }, "layer 0 of w is not there");
  write_text_atomically(file, header + "t,64,,0,0,w,zero,0.5\n");
  expect_input_error([&] { read_output_errors(file); }, "line 2, column layer");
}

}  // namespace
}  // namespace tide::analysis
