#include "sweep/results.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "sweep/csv.h"

namespace tide {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

SweepRow row_of(std::int64_t sample) {
  SweepRow row;
  row.key = {"needle", 1024, 0.3, sample, 0, "tidal:budget=64,select=2+8"};
  row.correct = true;
  row.output = "one, \"two\"\nthree";
  return row;
}

class Results : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(path); }
  void append_bytes(std::string_view bytes) {
    std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
  }

  std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "sweep_results_test.csv";
};

TEST_F(Results, ColumnsAreTheContracts) {
  EXPECT_EQ(csv_line(result_columns()),
            "task,length,depth,sample,seed,policy,placement,sharing,map,budget,first_token,correct,score,"
            "answer_logprob,kl,agree,tokens,rows_read,bytes_read,prefill_ms,decode_ms_per_token,batch,status,"
            "output,prompt_tokens,scored_tokens,block_nll,reuse_rate");
  EXPECT_EQ(parse_csv_line(format_row(row_of(0))).size(), result_columns().size());
}

TEST_F(Results, KeepsRowsAcrossRuns) {
  {
    ResultsFile file(path);
    file.append(row_of(0));
    file.append(row_of(1));
  }
  const ResultsFile file(path);
  EXPECT_EQ(file.size(), 2u);
  EXPECT_TRUE(file.has(row_of(1).key));
  EXPECT_FALSE(file.has(row_of(2).key));
}

TEST_F(Results, CutsALineThatAKillTore) {
  {
    ResultsFile file(path);
    file.append(row_of(0));
  }
  const std::string sound = read_text(path);
  append_bytes(format_row(row_of(1)).substr(0, 40));
  {
    ResultsFile file(path);
    EXPECT_EQ(file.size(), 1u);
    EXPECT_EQ(read_text(path), sound);
    file.append(row_of(1));
  }
  EXPECT_EQ(read_text(path), sound + format_row(row_of(1)) + "\n");
}

TEST_F(Results, CutsAHeaderThatAKillTore) {
  append_bytes("task,length,dep");
  { const ResultsFile file(path); }
  EXPECT_EQ(read_text(path), csv_line(result_columns()) + "\n");
}

TEST_F(Results, RefusesAnotherFile) {
  append_bytes("name,value\n");
  EXPECT_THAT([&] { ResultsFile file(path); }, ThrowsMessage<InputError>(HasSubstr("line 1")));
  std::filesystem::remove(path);
  append_bytes(csv_line(result_columns()) + "\nneedle,1024\n");
  EXPECT_THAT([&] { ResultsFile file(path); }, ThrowsMessage<InputError>(HasSubstr("line 2")));
}

TEST_F(Results, AFileThatAnEarlierVersionBeganKeepsItsColumns) {
  const std::size_t n = result_columns().size() - 1;
  const std::vector<std::string> columns(result_columns().begin(), result_columns().end() - 1);
  append_bytes(csv_line(columns) + "\n" + format_row(row_of(0), n) + "\n");
  const std::string before = read_text(path);
  SweepRow row = row_of(1);
  row.reuse_rate = 0.5;
  {
    ResultsFile file(path);
    EXPECT_TRUE(file.has(row_of(0).key));
    file.append(row);
  }
  EXPECT_EQ(read_text(path), before + format_row(row, n) + "\n");
  EXPECT_EQ(format_row(row), format_row(row, n) + ",0.5");
  EXPECT_EQ(ResultsFile(path).size(), 2u);
}

TEST_F(Results, RefusesFewerColumnsThanThereEverWere) {
  append_bytes(csv_line({result_columns().begin(), result_columns().end() - 2}) + "\n");
  EXPECT_THAT([&] { ResultsFile file(path); }, ThrowsMessage<InputError>(HasSubstr("line 1")));
}

TEST_F(Results, TwoRunsDoNotWriteOneFile) {
  const ResultsFile first(path);
  EXPECT_THAT([&] { ResultsFile second(path); }, ThrowsMessage<InputError>(HasSubstr("another run")));
}

}  // namespace
}  // namespace tide
