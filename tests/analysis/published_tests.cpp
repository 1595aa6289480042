// A paper's figures beside a run's: which row each one stands beside, and what is refused.

#include <gtest/gtest.h>

#include <cmath>

#include "analysis/published.h"
#include "base/file.h"
#include "page_helpers.h"
#include "support/expect_error.h"

namespace tide::analysis {
namespace {

using test::Folder;
using testing::expect_input_error;

constexpr const char* kTable =
    "task,length,policy,n,accuracy,accuracy_low,accuracy_high\n"
    "needle,1024,full,20,1,0.84,1\n"
    "needle,1024,\"tidal:budget=32,map=none,placement=FFS...S.\",20,0.1,0.03,0.3\n"
    "needle,1024,\"tidal:budget=64,map=none,placement=FFS...S.\",20,0.5,0.3,0.7\n"
    "needle,1024,\"tidal:budget=64,map=@map.json,placement=FFS...S.\",20,0.9,0.7,0.97\n"
    "needle,1024,\"tidal:budget=64,map=none,placement=FFS.....\",20,0,0,0.16\n";

constexpr const char* kPublished =
    "title = \"t\"\nx = \"budget\"\ny = \"share\"\ntable = \"table.csv\"\nmeasure = \"accuracy\"\n"
    "source = \"a paper, table 1\"\n"
    "[[series]]\nname = \"two\"\nx_column = \"budget\"\nx = [32, 64, 128]\npublished = [0.88, 0.98, 1.0]\n"
    "where = { name = \"tidal\", select = [\"2+13\", \"2+6\"], map = \"none\" }\n";

std::vector<ComparedFigure> compared(const Folder& folder, const std::string& toml,
                                     const std::string& table = kTable) {
  write_text_atomically(folder.path / "table.csv", table);
  write_text_atomically(folder.path / "published.toml", toml);
  return compare_published(read_published(folder.path / "published.toml"), folder.path);
}

TEST(Published, StandsBesideTheRowOfItsPolicyAndBudget) {
  const Folder folder;
  const auto figures = compared(folder, kPublished);
  ASSERT_EQ(figures.size(), 3u);
  EXPECT_EQ(figures[0].x, 32);
  EXPECT_EQ(figures[0].ours, 0.1);
  EXPECT_EQ(figures[0].published, 0.88);
  EXPECT_EQ(figures[1].ours, 0.5);  // not the mapped one, not layer 2 alone
  EXPECT_EQ(figures[1].low, 0.3);
  EXPECT_EQ(figures[1].n, 20);
  EXPECT_EQ(figures[1].source, "a paper, table 1");
  EXPECT_TRUE(std::isnan(figures[2].ours));  // a budget that we did not run
  EXPECT_EQ(figures[2].published, 1.0);
}

TEST(Published, WithoutAnXListsAllOfOurs) {
  const Folder folder;
  const auto figures = compared(
      folder,
      "table = \"table.csv\"\nmeasure = \"accuracy\"\n[[series]]\nname = \"ours\"\nx_column = \"budget\"\n"
      "where = { select = \"2+6\", map = \"none\" }\n");
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[1].x, 64);
  EXPECT_TRUE(std::isnan(figures[1].published));
  EXPECT_TRUE(figures[1].source.empty());
}

TEST(Published, TellsARatioToAReferenceOfTheSamePlace) {
  const Folder folder;
  const auto figures =
      compared(folder,
               "table = \"table.csv\"\nmeasure = \"ms\"\n[[series]]\nname = \"r\"\nx_column = "
               "\"length\"\nwhere = { name = \"quest\" }\nover = { name = \"full\" }\n"
               "minus = { name = \"full\", length = 64 }\n",
               "policy,length,ms\nfull,64,10\nfull,1024,14\nfull,8192,30\nquest:budget=64,1024,12\n"
               "quest:budget=64,8192,15\n");
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_DOUBLE_EQ(figures[0].ours, (12.0 - 10) / (14 - 10));
  EXPECT_DOUBLE_EQ(figures[1].ours, (15.0 - 10) / (30 - 10));
}

TEST(Published, ReadsArraysOfJsonAndValuesThatStandThere) {
  const Folder folder;
  write_text_atomically(
      folder.path / "bench.json",
      R"({"best": "2+6", "rows": [{"name": "a", "ms": 2.5, "more": {}}, {"name": "b", "ms": 5}]})");
  auto figures = compared(folder,
                          "[[series]]\nname = \"j\"\ntable = \"bench.json\"\nmeasure = \"ms\"\n"
                          "where = { name = \"a\" }\nover = { name = \"b\" }\n");
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_EQ(figures[0].ours, 0.5);
  EXPECT_TRUE(std::isnan(figures[0].x));
  figures = compared(folder,
                     "[[series]]\nname = \"v\"\ntable = \"table.csv\"\nmeasure = \"accuracy\"\n"
                     "where = { select = \"@bench.json#/best\", budget = 32 }\n");
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_EQ(figures[0].ours, 0.1);
}

TEST(Published, TellsAColumnFromAKeyOfThePolicyWithItsName) {
  const Folder folder;
  const std::string table =
      "policy,correct,kl\n\"tidal:budget=64,correct=16\",3,0.1\ntidal:budget=64,0,0.5\n";
  const std::string head = "table = \"table.csv\"\nmeasure = \"kl\"\n[[series]]\nname = \"s\"\n";
  const auto periods =
      compared(folder, head + "where = { name = \"tidal\" }\nx_column = \"policy.correct\"\n", table);
  ASSERT_EQ(periods.size(), 1u);
  EXPECT_EQ(periods[0].x, 16);
  const auto never = compared(folder, head + "where = { \"policy.correct\" = \"\" }\n", table);
  ASSERT_EQ(never.size(), 1u);
  EXPECT_EQ(never[0].ours, 0.5);
}

TEST(Published, SeveralLengthsAreSeriesOfTheirOwn) {
  const Folder folder;
  const auto figures =
      compared(folder,
               "table = \"table.csv\"\nmeasure = \"kl\"\n[[series]]\nname = \"s\"\nwhere = { name = "
               "\"full\" }\n",
               "task,length,policy,kl\nneedle,1024,full,1\nneedle,2048,full,2\n");
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[0].series, "s (needle, 1024)");
  EXPECT_EQ(figures[1].ours, 2);
}

TEST(Published, WritesATableAndAFigure) {
  const Folder folder;
  const auto figures = compared(folder, kPublished);
  write_compared(folder.path, read_published(folder.path / "published.toml"), figures);
  const std::string csv = read_text(folder.path / "compared.csv");
  EXPECT_NE(csv.find("two,32,0.1,0.03,0.3,20,32,,0.88,,\"a paper, table 1\",\"tidal:budget=32"),
            std::string::npos)
      << csv;
  EXPECT_TRUE(std::filesystem::exists(folder.path / "compared.svg"));
}

TEST(PublishedFile, RefusesWhatItCannotStandFor) {
  const Folder folder;
  const std::string head = "table = \"table.csv\"\nmeasure = \"accuracy\"\n[[series]]\nname = \"s\"\n";
  const auto expect_refused = [&](const std::string& toml, const std::string& part) {
    expect_input_error([&] { compared(folder, toml); }, part);
  };
  expect_refused(head + "published = 0.5\n", "line 3: key 'source': expected the paper and its table");
  expect_refused(head + "pubished = 0.5\n", "line 5: key 'pubished' is unknown; the nearest is 'published'");
  expect_refused(head + "where = { name = \"full\" }\nx = [1, 2]\npublished = [1]\nsource = \"p\"\n",
                 "key 'published': expected 2 numbers");
  expect_refused(head, "key 'where': expected rows of ours, or 'published'");
  expect_refused(head + "where = 3\n", "key 'where': expected a table");
  expect_refused(head + "where = { name = \"tidal\" }\n", "two rows match");
  expect_refused(head + "where = { name = \"full\" }\nmeasure = \"speed\"\n",
                 "table.csv: has no column speed");
  expect_refused(head + "where = { name = \"full\" }\ntable = \"no.csv\"\n", "no.csv: is not there");
  write_text_atomically(folder.path / "bench.json", R"({"rows": [1], "what": "decode"})");
  const std::string json = "[[series]]\nname = \"s\"\nmeasure = \"ms\"\nwhere = {}\ntable = \"bench.json";
  expect_refused(json + "#/lines\"\n", "bench.json: has nothing at /lines");
  expect_refused(json + "#lines\"\n", "bench.json: has nothing at lines");
  expect_refused(json + "#/what\"\n", "bench.json: has no array at /what");
  expect_refused(json + "\"\n", "bench.json: the array at /rows has more than objects");
  expect_refused(head + "where = { name = \"@bench.json#/best\" }\n", "bench.json: has nothing at /best");
  expect_refused("title = \"t\"\n", "key 'series': expected tables");
}

}  // namespace
}  // namespace tide::analysis
