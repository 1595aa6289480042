// results.csv read with suspicion, and what a sweep's summary counts.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/paired.h"
#include "analysis/report_page.h"
#include "analysis/statistics.h"
#include "analysis/sweep_summary.h"
#include "base/file.h"
#include "page_helpers.h"
#include "support/expect_error.h"

namespace tide::analysis {
namespace {

using test::Environment;
using test::Folder;
using testing::expect_input_error;

constexpr const char* kHeader =
    "task,length,depth,sample,seed,policy,placement,sharing,map,budget,first_token,correct,score,answer_"
    "logprob,kl,"
    "agree,tokens,rows_read,bytes_read,prefill_ms,decode_ms_per_token,batch,status,output";

std::string row(int sample, const std::string& policy, const std::string& placement, const std::string& map,
                const std::string& budget, const std::string& correct, double rows_read,
                const std::string& status = "ok", double depth = 0.5) {
  return fmt::format(
      "needle,1024,{},{},0,\"{}\",{},head,{},{},policy,{},1,-0.5,0.1,0.9,8,{},1e6,900,12,4,{},text\n", depth,
      sample, policy, placement, map, budget, correct, rows_read, status);
}

std::filesystem::path write_csv(const Folder& folder, const std::string& rows) {
  write_text_atomically(folder.path / "results.csv", std::string(kHeader) + "\n" + rows);
  return folder.path / "results.csv";
}

TEST(Results, ReadsQuotedFields) {
  const Folder folder;
  const auto csv = write_csv(folder,
                             "needle,1024,0.5,3,7,\"tidal:budget=64,select=2+14\",FFS.,head,\"a, "
                             "b.json\",64,policy,1,1,-0.25,,,9,100,"
                             "1e6,900,12,4,ok,\"He said \"\"7\"\",\nthen \\n stopped\"\r\n");
  const auto rows = read_results(csv);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].policy, "tidal:budget=64,select=2+14");
  EXPECT_EQ(rows[0].map, "a, b.json");
  EXPECT_EQ(rows[0].output, "He said \"7\",\nthen \\n stopped");
  EXPECT_EQ(rows[0].correct, std::optional(true));
  EXPECT_EQ(rows[0].answer_logprob, -0.25);
  EXPECT_TRUE(std::isnan(rows[0].kl));
  EXPECT_EQ(rows[0].depth, 0.5);
}

TEST(Results, FindsColumnsByNameAndKeepsATasksOwn) {
  const Folder folder;
  write_text_atomically(folder.path / "results.csv",
                        "status,rows_read,correct,budget,map,placement,policy,seed,sample,length,task,city\n"
                        "ok,10,,64,,FFS.,tidal,0,0,512,needle,Oslo\n");
  const auto rows = read_results(folder.path / "results.csv");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].length, 512);
  EXPECT_EQ(rows[0].rows_read, 10);
  EXPECT_FALSE(rows[0].correct);
  EXPECT_EQ(rows[0].extra.at("city"), "Oslo");
  EXPECT_EQ(rows[0].extra.size(), 1u);
}

TEST(Results, NamesTheBrokenLine) {
  const Folder folder;
  const std::string good = row(0, "full", "FFFF", "", "", "1", 100);
  expect_input_error([&] { read_results(write_csv(folder, good + "needle,1024\n")); },
                     "results.csv, line 3: 2 fields, expected 24");
  expect_input_error(
      [&] { read_results(write_csv(folder, good + row(1, "full", "FFFF", "", "", "yes", 1))); },
      "line 3, column correct: 'yes'");
  std::string number = row(1, "full", "FFFF", "", "", "1", 1);
  number.replace(number.find("-0.5"), 4, "-o.5");
  expect_input_error([&] { read_results(write_csv(folder, good + number)); },
                     "line 3, column answer_logprob");
  expect_input_error([&] { read_results(write_csv(folder, good + "\"needle,1\n" + good)); },
                     "line 3: text behind a field's closing quote");
  expect_input_error([&] { read_results(write_csv(folder, good + "\"needle,1\n")); },
                     "line 3: a quote is not closed");
  expect_input_error([&] { read_results(write_csv(folder, good + "nee\"dle\"\n")); },
                     "line 3: a quote inside");
  write_text_atomically(folder.path / "other.csv", "a,b\n1,2\n");
  expect_input_error([&] { read_results(folder.path / "other.csv"); }, "line 1: no column task");
}

TEST(Results, LeavesOutALineThatAKillCutShort) {
  const Folder folder;
  const std::string good = row(0, "full", "FFFF", "", "", "1", 100);
  EXPECT_EQ(read_results(write_csv(folder, good + good.substr(0, good.size() - 1))).size(), 1u);
  EXPECT_EQ(read_results(write_csv(folder, good + "needle,10")).size(), 1u);
  EXPECT_EQ(read_results(write_csv(folder, good + "needle,\"te")).size(), 1u);
}

TEST(SweepSummary, CarriesTheReuseOfWhoHasACache) {
  const Folder folder;
  const char* header =
      "task,length,sample,seed,policy,placement,map,budget,correct,rows_read,status,reuse_rate\n";
  write_text_atomically(folder.path / "results.csv", std::string(header) +
                                                         "t,64,0,0,cached,FE,,8,1,8,ok,0.25\n"
                                                         "t,64,1,0,cached,FE,,8,1,8,ok,0.75\n"
                                                         "t,64,2,0,cached,FE,,8,1,8,failed,1\n"
                                                         "t,64,0,0,plain,FE,,8,0,8,ok,\n");
  const auto rows = read_results(folder.path / "results.csv");
  EXPECT_TRUE(rows[3].extra.empty());
  const SweepSummary summary = summarise(rows, {});
  ASSERT_EQ(summary.configurations.size(), 2u);
  EXPECT_EQ(summary.configurations[0].reuse_rate.n, 2);
  EXPECT_DOUBLE_EQ(summary.configurations[0].reuse_rate.mean, 0.5);
  EXPECT_EQ(summary.configurations[1].reuse_rate.n, 0);
  write_table(folder.path / "table.csv", summary.configurations);
  const std::string table = read_text(folder.path / "table.csv");
  EXPECT_NE(table.find(",reuse_rate,reuse_rate_low,reuse_rate_high\n"), std::string::npos);
  EXPECT_NE(table.find(",8,8,8,0.5,"), std::string::npos) << table;
}

TEST(SweepSummary, CountsWithWilsonIntervalsAndKeepsFailuresOut) {
  const Folder folder;
  const std::string tidal = "tidal:budget=64";
  const auto csv = write_csv(folder, row(0, "full", "FFFFF", "", "", "1", 100) +
                                         row(1, "full", "FFFFF", "", "", "1", 100) +
                                         row(0, tidal, "FFS.S", "m.json", "64", "1", 20) +
                                         row(1, tidal, "FFS.S", "m.json", "64", "0", 30, "ok", 0.9) +
                                         row(2, tidal, "FFS.S", "m.json", "64", "1", 40) +
                                         row(3, tidal, "FFS.S", "m.json", "64", "0", 999, "out of memory"));
  LatencyRow latency;
  latency.policy = tidal;
  latency.length = 1024;
  latency.median_ms = 9.5;
  const SweepSummary summary = summarise(read_results(csv), {latency});
  ASSERT_EQ(summary.configurations.size(), 2u);
  EXPECT_TRUE(summary.configurations[0].is_full);
  const Configuration& c = summary.configurations[1];
  EXPECT_EQ(c.n, 3);
  EXPECT_EQ(c.failed, 1);
  EXPECT_EQ(c.n_correct, 2);
  EXPECT_DOUBLE_EQ(c.accuracy.mean, 2.0 / 3);
  EXPECT_DOUBLE_EQ(c.accuracy.low, wilson_interval(2, 3).low);
  EXPECT_DOUBLE_EQ(c.rows_read.mean, 30);
  EXPECT_EQ(c.selection, "2+4");
  EXPECT_EQ(c.name(), "2+4, budget 64, mapped heads");
  EXPECT_EQ(c.by_depth.at(0.9), (std::pair<std::int64_t, std::int64_t>{0, 1}));
  ASSERT_TRUE(c.latency);
  EXPECT_EQ(c.latency->median_ms, 9.5);
  EXPECT_EQ(summary.n_failed, 1);
  EXPECT_EQ(summary.failures.at("out of memory"), 1);
  const auto json = nlohmann::json::parse(summary_json(summary));
  EXPECT_EQ(json["configurations"][1]["correct"], 2);
  EXPECT_EQ(json["configurations"][0]["kl"]["n"], 2);
}

TEST(SweepSummary, TellsSeveralMapsApart) {
  const Folder folder;
  const auto csv = write_csv(folder, row(0, "tidal:a", "FFS.S", "runs/text.json", "64", "1", 20) +
                                         row(0, "tidal:b", "FFS.S", "runs/task.json", "64", "0", 20) +
                                         row(0, "tidal:c", "FFS.S", "", "64", "0", 30) +
                                         row(0, "window:budget=64", "KKKKK", "", "64", "0", 64));
  std::vector<std::string> names;
  for (const Configuration& c : summarise(read_results(csv), {}).configurations) names.push_back(c.name());
  EXPECT_EQ(names, (std::vector<std::string>{"2+4, budget 64, mapped heads (text)",
                                             "2+4, budget 64, mapped heads (task)",
                                             "2+4, budget 64, same head", "window, budget 64"}));
}

TEST(SweepSummary, ComparesTheMapWithTheSameHeadOnTheSameSamples) {
  const Folder folder;
  std::string rows;
  for (int sample = 0; sample < 10; ++sample) {
    rows += row(sample, "full", "FFFFF", "", "", "1", 100);
    rows += row(sample, "tidal:map=@m.json", "FFS.S", "m.json", "64", "1", 20);
    rows += row(sample, "tidal:map=none", "FFS.S", "", "64", sample < 2 ? "1" : "0", 20);
  }
  const SweepSummary summary = summarise(read_results(write_csv(folder, rows)), {});
  ASSERT_FALSE(summary.findings.empty());
  // 8 samples differ, all in favour of the map: p = 2 * 0.5^8
  EXPECT_NE(summary.findings[0].find("2+4, budget 64, mapped heads with 10 of 10"), std::string::npos);
  EXPECT_NE(summary.findings[0].find("2 of 10"), std::string::npos) << summary.findings[0];
  EXPECT_NE(summary.findings[0].find("McNemar p = 0.008"), std::string::npos) << summary.findings[0];
}

TEST(SweepSummary, WritesSummaryFiguresAndPage) {
  const Folder folder;
  write_text_atomically(folder.path / "stand-in.js", "const Plotly = null;");
  const Environment plotly("TIDEGAUGE_PLOTLY", (folder.path / "stand-in.js").string());
  std::string rows;
  for (int sample = 0; sample < 4; ++sample) {
    const double depth = sample % 2 ? 0.1 : 0.9;
    rows += row(sample, "full", "FFFFFF", "", "", "1", 100, "ok", depth);
    rows += row(sample, "tidal:select=2+4", "FFS.S.", "", "64", sample ? "1" : "0", 20, "ok", depth);
    rows += row(sample, "tidal:select=2+3", "FFSS..", "", "64", "0", 20, "ok", depth);
  }
  write_csv(folder, rows);
  write_text_atomically(folder.path / "latency.csv",
                        "policy,placement,budget,map,length,kv_len,batch,median_ms,low_ms,high_ms,steps\n"
                        "full,FFFFFF,,,1024,1040,1,12.5,12,13,32\n"
                        "tidal:select=2+4,FFS.S.,64,,1024,1040,1,9.5,9,10,32\n");
  summarise_sweep(folder.path);
  for (const char* stem :
       {"frontier_accuracy_rows", "frontier_accuracy_latency", "reselection_accuracy", "depths"}) {
    EXPECT_TRUE(std::filesystem::exists(folder.path / (std::string(stem) + ".png"))) << stem;
    EXPECT_TRUE(std::filesystem::exists(folder.path / (std::string(stem) + ".svg"))) << stem;
  }
  const std::string page = read_text(folder.path / "report.html");
  for (const char* outside : {"http://", "https://", "src=", "href=", "@import"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  const auto data = read_page_data(folder.path / "report.html");
  EXPECT_EQ(data, nlohmann::json::parse(read_text(folder.path / "summary.json")));
  EXPECT_EQ(data["configurations"][1]["latency_ms"]["median"], 9.5);
}

}  // namespace
}  // namespace tide::analysis
