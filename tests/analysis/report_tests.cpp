// Pages: self-contained, with data that comes back as it went in.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/report.h"
#include "analysis/report_page.h"
#include "base/error.h"
#include "base/file.h"
#include "page_helpers.h"
#include "support/expect_error.h"
#include "synthetic_recording.h"

namespace tide::analysis {
namespace {

using test::count_of;
using test::Environment;
using test::Folder;
using testing::expect_input_error;

RecordingReport small_report() {
  RecordingReport report;
  report.title = "A <model> & more";
  report.findings = {"mapped reuse recalls more"};
  report.facts = {{"model", "tiny"}};
  report.n_layers = 2;
  report.n_heads = 2;
  report.n_kv_heads = 1;
  report.placement = "S.";
  report.matrices = {{"overlap", "head", 4, {1.0f, 0.25f, 0.25f, 1.0f}},
                     {"recall", "mapped", 4, {NAN, 0.5f, NAN, NAN}}};
  report.persistence = {{4, {1, 2}, {0.5f, 0.25f, 1.0f, NAN}}};
  report.curves = {{"recall of the recorded sets", "share", {NAN, 0.5f}, {}, {}}};
  AttentionView view;
  view.name = "run.h5";
  view.prompt_len = 3;
  view.layers = {0, 1};
  view.heads = {0};
  view.steps = {0};
  view.kv_len = {4};
  view.n_bins = 4;
  view.code = {{0, 1, 128, 255}, {255, 128, 1, 0}};
  view.read_bits = {{}, {0b0101}};
  view.role = {{1}, {2}};
  view.token = {"</script><script>alert(1)</script>", "<!--", "\"", "\n"};
  report.attention = {view};
  return report;
}

/// A page with a stand-in for plotly.js, so that what is searched is ours.
std::string page_of(const RecordingReport& report, const Folder& folder,
                    PlotlyPlace place = PlotlyPlace::inlined) {
  write_text_atomically(folder.path / "stand-in.js", "const Plotly = null;");
  const Environment plotly("TIDEGAUGE_PLOTLY", (folder.path / "stand-in.js").string());
  write_recording_report(folder.path / "report.html", report, place);
  return read_text(folder.path / "report.html");
}

TEST(Report, AsksForNothingOutsideItself) {
  const Folder folder;
  const std::string page = page_of(small_report(), folder);
  for (const char* outside :
       {"http://", "https://", "src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_NE(page.find("const Plotly = null;"), std::string::npos);
  EXPECT_EQ(page.find("@@"), std::string::npos) << "a part of the template was not filled";
}

TEST(Report, InlinesTheInstalledPlotly) {
  const Folder folder;
  write_recording_report(folder.path / "report.html", small_report());
  EXPECT_GT(std::filesystem::file_size(folder.path / "report.html"),
            std::filesystem::file_size(plotly_path()));
}

TEST(Report, DataCannotEndItsElement) {
  const Folder folder;
  const std::string page = page_of(small_report(), folder);
  EXPECT_EQ(count_of(page, "</script>"), 3u);  // data, plotly, ours
  EXPECT_EQ(page.find("alert(1)</script"), std::string::npos);
  EXPECT_NE(page.find("<title>A &lt;model&gt; &amp; more</title>"), std::string::npos);
}

TEST(Report, DataComesBackAsItWentIn) {
  const Folder folder;
  const RecordingReport report = small_report();
  page_of(report, folder);
  const nlohmann::json data = read_page_data(folder.path / "report.html");
  EXPECT_EQ(data["title"], report.title);
  EXPECT_EQ(data["matrices"][0]["value"], (nlohmann::json{1.0, 0.25, 0.25, 1.0}));
  EXPECT_EQ(data["matrices"][1]["value"], (nlohmann::json{nullptr, 0.5, nullptr, nullptr}));
  EXPECT_EQ(data["persistence"][0]["value"], (nlohmann::json{0.5, 0.25, 1.0, nullptr}));
  EXPECT_EQ(data["attention"][0]["token"], nlohmann::json(report.attention[0].token));
  EXPECT_EQ(data["attention"][0]["code"], (nlohmann::json{"AAGA/w==", "/4ABAA=="}));
  EXPECT_EQ(data["attention"][0]["read_bits"], (nlohmann::json{"", "BQ=="}));
}

TEST(Report, BesideNamesOneSharedScript) {
  const Folder folder;
  const std::string page = page_of(small_report(), folder, PlotlyPlace::beside);
  EXPECT_EQ(count_of(page, "src="), 1u);
  EXPECT_NE(page.find("<script src=\"plotly.min.js\"></script>"), std::string::npos);
  EXPECT_EQ(read_text(folder.path / "plotly.min.js"), "const Plotly = null;");
}

TEST(Report, IsMadeAgainFromItsOwnData) {
  const Folder folder;
  const std::string page = page_of(small_report(), folder);
  const Environment plotly("TIDEGAUGE_PLOTLY", (folder.path / "stand-in.js").string());
  EXPECT_EQ(rewrite_report(folder.path / "report.html", PlotlyPlace::inlined), small_report().findings);
  EXPECT_EQ(read_text(folder.path / "report.html"), page);

  write_text_atomically(folder.path / "foreign.html", "<html></html>");
  expect_input_error([&] { rewrite_report(folder.path / "foreign.html", PlotlyPlace::inlined); },
                     "foreign.html");
}

TEST(Report, RefusesSizesThatDisagree) {
  const Folder folder;
  RecordingReport report = small_report();
  report.matrices[1].value.pop_back();
  expect_input_error([&] { page_of(report, folder); }, "recall has 3 values, expected 4");
  report = small_report();
  report.attention[0].code[1].push_back(0);
  expect_input_error([&] { page_of(report, folder); }, "5 values, expected 4");
}

TEST(Report, MissingPlotlyIsNamed) {
  const Folder folder;
  const Environment plotly("TIDEGAUGE_PLOTLY", "/nonexistent/plotly.min.js");
  expect_input_error([&] { write_recording_report(folder.path / "report.html", small_report()); },
                     "/nonexistent/plotly.min.js");
  EXPECT_FALSE(std::filesystem::exists(folder.path / "report.html"));
}

TEST(Base64, EqualsTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, code] : vectors) EXPECT_EQ(base64(text), code);
}

TEST(AttentionCode, KeepsProbabilitiesWithinThreePercent) {
  EXPECT_EQ(attention_code(0), 0);
  EXPECT_EQ(attention_code(1), 255);
  EXPECT_EQ(attention_code(1e-9f), 1);
  EXPECT_EQ(attention_of_code(0), 0.0f);
  for (float prob = 1.1e-5f; prob < 1; prob *= 1.37f) {
    EXPECT_NEAR(attention_of_code(attention_code(prob)), prob, 0.03f * prob);
  }
}

TEST(AttentionView, ShowsTheRecordedMapsAndSets) {
  const Folder folder;
  test::SyntheticSpec spec;
  spec.path = folder.path / "run.h5";
  const test::SyntheticRun run(spec);
  test::write_synthetic(spec);
  const AttentionView view = load_attention_view(RecordingReader(spec.path));
  ASSERT_EQ(view.layers.size(), spec.placement.size());
  ASSERT_EQ(view.steps.size(), static_cast<std::size_t>(spec.steps));
  EXPECT_EQ(view.heads.size(), static_cast<std::size_t>(spec.n_heads));
  EXPECT_EQ(view.bin_positions, 1);
  EXPECT_TRUE(view.notes.empty());
  const std::int64_t step = 4, kv_len = run.kv_len(step);
  const auto full = run.full_prob(1, step);
  for (int head = 0; head < spec.n_heads; ++head) {
    for (std::int64_t position = 0; position < kv_len; ++position) {
      const float expected = full[static_cast<std::size_t>(head * kv_len + position)];
      const auto cell = static_cast<std::size_t>((head * spec.steps + step) * view.n_bins + position);
      EXPECT_NEAR(attention_of_code(view.code[1][cell]), expected, 0.03f * expected + 2e-5f);
    }
  }
  EXPECT_TRUE(view.read_bits[0].empty()) << "a full layer reads everything";
  std::size_t read = 0;
  const std::size_t row_bytes = static_cast<std::size_t>((view.n_bins + 7) / 8);
  for (std::size_t i = 0; i < row_bytes; ++i) {
    read += static_cast<std::size_t>(
        __builtin_popcount(view.read_bits[3][static_cast<std::size_t>(step) * row_bytes + i]));
  }
  EXPECT_EQ(read, static_cast<std::size_t>(spec.budget));
}

TEST(AttentionView, StaysWithinItsBytesAndSaysWhatItLeftOut) {
  const Folder folder;
  test::SyntheticSpec spec;
  spec.path = folder.path / "run.h5";
  spec.steps = 40;
  spec.prompt_len = 600;
  test::write_synthetic(spec);
  const std::int64_t max_bytes = 4 * 6 * 16 * 400;
  const AttentionView view = load_attention_view(RecordingReader(spec.path), max_bytes);
  std::size_t bytes = 0;
  for (const auto& code : view.code) bytes += code.size();
  EXPECT_LE(bytes, static_cast<std::size_t>(max_bytes));
  EXPECT_EQ(view.steps.front(), 0);
  EXPECT_EQ(view.steps.back(), 39);
  EXPECT_EQ(view.bin_positions, 2);
  EXPECT_EQ(view.notes.size(), 2u);
}

}  // namespace
}  // namespace tide::analysis
