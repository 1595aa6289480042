// Datasets as csv, npy, npz and json. That NumPy reads the binary ones is shown by the oracle test.

#include "record/export.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "record/npy.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

class Export : public ::testing::Test {
 protected:
  void SetUp() override {
    spec_.path = folder_ / "run.h5";
    spec_.steps = 3;
    write_synthetic(spec_);
  }
  std::string text(const std::string& dataset, ExportFormat format) const {
    const fs::path out = folder_ / "out";
    export_datasets(spec_.path, {dataset}, format, out);
    return read_text(out);
  }
  void refused(std::vector<std::string> datasets, ExportFormat format, const std::string& part) const {
    expect_input_error([&] { export_datasets(spec_.path, datasets, format, folder_ / "refused"); }, part);
    EXPECT_FALSE(fs::exists(folder_ / "refused"));
    EXPECT_FALSE(fs::exists(folder_ / "refused.part"));
  }

  TempFolder folder_;
  SyntheticSpec spec_;
};

TEST_F(Export, CsvHasAColumnAnAxis) {
  EXPECT_EQ(text("/steps/kv_len", ExportFormat::csv), "step,kv_len\n0,20\n1,21\n2,22\n");
  const std::string rows = text("/layers/03/rows_read", ExportFormat::csv);
  EXPECT_TRUE(rows.starts_with("step,kv_head,rows_read\n0,0,8\n0,1,8\n0,2,8\n1,0,8\n")) << rows;
  const std::string strings = text("/tokens/strings", ExportFormat::csv);
  EXPECT_TRUE(strings.starts_with("token,strings\n0,\xC3\xA9\n")) << strings;
}

TEST_F(Export, JsonNests) {
  const auto rows = nlohmann::json::parse(text("/layers/03/rows_read", ExportFormat::json));
  EXPECT_EQ(rows.at("values"), nlohmann::json::parse("[[8,8,8],[8,8,8],[8,8,8]]"));
  EXPECT_EQ(rows.at("axes"), nlohmann::json::parse(R"(["step","kv_head"])"));
  EXPECT_EQ(rows.at("units"), "row");
  const auto scores = nlohmann::json::parse(text("/layers/02/selected_score", ExportFormat::json));
  EXPECT_EQ(scores.at("values").size(), 3u);
  EXPECT_EQ(scores.at("values")[0].size(), 6u);
  EXPECT_TRUE(scores.at("values")[0][0][0].is_null());  // forced: NaN
  const auto prob = nlohmann::json::parse(text("/layers/03/prob", ExportFormat::json));
  EXPECT_EQ(prob.at("shape"), nlohmann::json::parse("[3,6,22]"));
  EXPECT_EQ(prob.at("values")[2][5].size(), 22u);
}

TEST_F(Export, NpzMembersUnpackToTheNpyOfTheSameDataset) {
  const std::vector<std::string> paths = {"/layers/03/prob", "/steps/kv_len", "/tokens/strings"};
  export_datasets(spec_.path, paths, ExportFormat::npz, folder_ / "out.npz");
  const std::string archive = read_text(folder_ / "out.npz");
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(archive.data()),
                                            archive.size());
  const auto members = record::zip_members(bytes, "out.npz");
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].name, "layers/03/prob.npy");
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto unpacked = record::zip_unpack(bytes, members[i], "out.npz");
    const std::string npy = text(paths[i], ExportFormat::npy);
    EXPECT_TRUE(std::equal(unpacked.begin(), unpacked.end(), npy.begin(), npy.end(),
                           [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }));
    EXPECT_EQ(record::parse_npy_header(unpacked, "x").header_bytes % 64, 0u);
  }
}

TEST_F(Export, RefusesWhatIsNoDataset) {
  refused({"/layers/09/prob"}, ExportFormat::csv, "/layers/09/prob is missing");
  refused({"/layers/02"}, ExportFormat::csv, "/layers/02 is a group, expected a dataset");
  refused({"steps/kv_len"}, ExportFormat::csv, "expected a path such as /steps/kv_len");
  refused({"/steps/kv_len", "/steps/latency_ms"}, ExportFormat::npy, "2 datasets, this format takes one");
  refused({"/steps/kv_len", "/steps/kv_len"}, ExportFormat::npz, "named twice");
  refused({}, ExportFormat::npz, "no dataset named");
  expect_input_error([] { export_format("xlsx"); }, "export format 'xlsx': expected csv, npy, npz or json");
}

TEST_F(Export, RefusesAFolderThatIsNotThere) {
  expect_input_error(
      [&] { export_datasets(spec_.path, {"/steps/kv_len"}, ExportFormat::csv, folder_ / "no/out.csv"); },
      "no/out.csv.part: No such file or directory");
}

}  // namespace
}  // namespace tide::test
