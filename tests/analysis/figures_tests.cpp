// Figures through gnuplot: what is in the files, and what is refused.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>

#include "analysis/figures.h"
#include "analysis/figures_attention.h"
#include "base/error.h"
#include "base/file.h"
#include "page_helpers.h"
#include "support/expect_error.h"

namespace tide::analysis {
namespace {

using test::count_of;
using test::Environment;
using test::Folder;
using testing::expect_input_error;

Heatmap small_map() {
  Heatmap map;
  map.title = "Overlap <of> R&D";
  map.subtitle = "two layers";
  map.x_label = "layer j";
  map.y_label = "layer i";
  map.value_label = "overlap (share of k)";
  map.n_rows = 2;
  map.n_columns = 2;
  map.low = 0;
  map.high = 1;
  map.value = {1.0f, 0.0f, NAN, 1.0f};
  return map;
}

unsigned big_endian(const std::string& bytes, std::size_t at) {
  unsigned value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Width and height of the SVG's view box.
std::pair<unsigned, unsigned> svg_size(const std::string& svg) {
  unsigned width = 0, height = 0;
  const std::size_t at = svg.find("viewBox=\"0 0 ");
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(std::sscanf(svg.c_str() + at, "viewBox=\"0 0 %u %u\"", &width, &height), 2);
  return {width, height};
}

/// The part of an SVG that holds the cells.
std::string drawn_cells(const std::string& svg) {
  const std::size_t begin = svg.find("id=\"gnuplot_plot_1\"");
  const std::size_t end = svg.find("\n\t</g>", begin);
  EXPECT_NE(end, std::string::npos);
  return svg.substr(begin, end - begin);
}

TEST(Heatmap, WritesAPngOfTwiceTheSvgsSize) {
  const Folder folder;
  write_heatmap(folder.path / "map", small_map());
  const std::string png = read_text(folder.path / "map.png");
  ASSERT_EQ(png.substr(1, 3), "PNG");
  const auto [width, height] = svg_size(read_text(folder.path / "map.svg"));
  EXPECT_GT(width, 200u);
  EXPECT_EQ(big_endian(png, 16), 2 * width);
  EXPECT_EQ(big_endian(png, 20), 2 * height);
  EXPECT_FALSE(std::filesystem::exists(folder.path / "map.png.part"));
}

TEST(Heatmap, SvgCarriesEveryLabelAsText) {
  const Folder folder;
  Heatmap map = small_map();
  map.row_labels = {"layer 'two'", "layer 14"};
  map.marks = {{HeatmapMark::Kind::row, 1, 0}};
  map.marks_label = "selection layers";
  write_heatmap(folder.path / "map", map);
  const std::string svg = read_text(folder.path / "map.svg");
  for (const char* label :
       {"Overlap &lt;of> R&amp;D", "two layers", "layer j", "layer i", "overlap (share of k)", "layer 'two'",
        "layer 14", "selection layers", "<title>Overlap"}) {
    EXPECT_NE(svg.find(label), std::string::npos) << label;
  }
}

TEST(Heatmap, ColoursEndsOfTheRangeAndLeavesNaNBlank) {
  const Folder folder;
  write_heatmap(folder.path / "map", small_map());
  const std::string svg = read_text(folder.path / "map.svg");
  const std::string drawn = drawn_cells(svg);
  EXPECT_EQ(count_of(drawn, "rgb(253, 231,  37)"), 2u) << drawn;  // viridis' yellow: the two ones
  EXPECT_EQ(count_of(drawn, "rgb( 68,   1,  84)"), 1u) << drawn;  // its violet: the zero
  EXPECT_EQ(count_of(drawn, "<polygon"), 3u);                     // nothing for the NaN
}

TEST(Heatmap, LogScalePutsEqualRatiosAtEqualDistances) {
  const Folder folder;
  Heatmap map = small_map();
  map.log_scale = true;
  map.low = 1e-4;
  map.value = {1e-4f, 1e-2f, 1.0f, 0.0f};
  write_heatmap(folder.path / "log", map);
  const std::string log = read_text(folder.path / "log.svg");
  map.log_scale = false;
  map.low = 0;
  map.value = {0.0f, 0.5f, 1.0f, 0.0f};
  write_heatmap(folder.path / "linear", map);
  const auto colours = [](const std::string& svg) {
    const std::string drawn = drawn_cells(svg);
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = drawn.find("fill = 'rgb(", at)) != std::string::npos; ++at) {
      out.push_back(drawn.substr(at, drawn.find(')', at) - at));
    }
    return out;
  };
  EXPECT_EQ(colours(log), colours(read_text(folder.path / "linear.svg")));
  EXPECT_EQ(colours(log).size(), 4u);
  EXPECT_NE(log.find("10⁻⁴"), std::string::npos);
}

TEST(RangeChart, SvgCarriesNamesValuesAndTheLegend) {
  const Folder folder;
  RangeChart chart;
  chart.title = "Times";
  chart.x_label = "a step (ms)";
  chart.rows = {{"full attention", 18.5, 16, 19, "ours"}, {"gather", 0.25, 0.25, 0.25, "theirs"}};
  write_range_chart(folder.path / "times", chart, {.png = false});
  const std::string svg = read_text(folder.path / "times.svg");
  for (const char* text : {"full attention", "gather", "18.5", "0.25", "a step (ms)", "ours", "theirs"}) {
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path / "times.png"));
}

TEST(RangeChart, RefusesNoRowsAndAValueOutsideItsRange) {
  const Folder folder;
  expect_input_error([&] { write_range_chart(folder.path / "x", {}); }, "no rows");
  RangeChart chart;
  chart.rows = {{"gather", 3, 1, 2, ""}};
  expect_input_error([&] { write_range_chart(folder.path / "x", chart); },
                     "gather is 3, outside its range 1 to 2");
}

TEST(Heatmap, HidesSinks) {
  Heatmap map = small_map();
  hide_sinks(map, 1);
  EXPECT_TRUE(std::isnan(map.value[0]));
  EXPECT_EQ(map.value[1], 0.0f);
  EXPECT_EQ(map.value[3], 1.0f);
}

TEST(Heatmap, RefusesSizesThatDisagree) {
  const Folder folder;
  const auto refuse = [&](auto change, const std::string& part) {
    Heatmap map = small_map();
    change(map);
    expect_input_error([&] { write_heatmap(folder.path / "map", map); }, part);
  };
  refuse([](Heatmap& map) { map.value.pop_back(); }, "3 values, expected 2 x 2");
  refuse([](Heatmap& map) { map.row_labels = {"one"}; }, "1 row labels, expected 2");
  refuse([](Heatmap& map) { map.marks = {{HeatmapMark::Kind::column, 0, 2}}; }, "column 2 of 2 x 2");
  refuse([](Heatmap& map) { map.log_scale = true; }, "expected a lower end above 0");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

TEST(Heatmap, KeepsThePeakOfAMapWiderThanTheFigure) {
  const Folder folder;
  Heatmap map = small_map();
  map.n_rows = 1;
  map.n_columns = 5000;
  map.value.assign(5000, 0.0f);
  map.value[3001] = 1.0f;
  write_heatmap(folder.path / "wide", map, {false, true, false});
  // a single row is drawn as two halves
  EXPECT_EQ(count_of(drawn_cells(read_text(folder.path / "wide.svg")), "rgb(253, 231,  37)"), 2u);
}

/// One head, two steps of four positions; the second step of the second layer read positions 0 and 2.
AttentionView small_view() {
  AttentionView view;
  view.name = "run.h5";
  view.prompt_len = 3;
  view.layers = {0, 7};
  view.heads = {2};
  view.steps = {0, 5};
  view.kv_len = {3, 4};
  view.n_bins = 4;
  view.code = {{255, 128, 0, 0, 255, 128, 1, 1}, {255, 0, 128, 0, 255, 0, 128, 0}};
  view.read_bits = {{}, {0b0101, 0b0101}};
  view.role = {{0, 0}, {1, 1}};
  return view;
}

TEST(AttentionHeatmap, IsBlankWhereHiddenUnreadOrNotThereYet) {
  const AttentionView view = small_view();
  const Heatmap full = attention_heatmap(view, 0, 2, 1);
  EXPECT_TRUE(std::isnan(full.value[0])) << "a sink";
  EXPECT_NEAR(full.value[1], std::sqrt(1e-5), 1e-3);
  EXPECT_EQ(full.value[2], 0.0f) << "read, and rounds to zero";
  EXPECT_TRUE(std::isnan(full.value[3])) << "beyond kv_len";
  EXPECT_FALSE(std::isnan(full.value[7]));
  const Heatmap sparse = attention_heatmap(view, 7, std::nullopt, 0);
  EXPECT_EQ(sparse.value[0], 1.0f);
  EXPECT_TRUE(std::isnan(sparse.value[1])) << "not read";
  EXPECT_EQ(sparse.row_labels, (std::vector<std::string>{"0", "5"}));
  expect_input_error([&] { attention_heatmap(view, 3, std::nullopt); }, "layer 3 is not there");
  expect_input_error([&] { attention_heatmap(view, 0, 0); }, "head 0 is not there");
}

TEST(AttentionHeatmap, FiguresShowTheSelectionLayers) {
  const Folder folder;
  EXPECT_EQ(write_attention_figures(folder.path, small_view()),
            (std::vector<std::string>{"attention_layer_07"}));
  EXPECT_TRUE(std::filesystem::exists(folder.path / "attention_layer_07.png"));
  AttentionView full = small_view();
  full.role = {{0, 0}, {0, 0}};
  EXPECT_EQ(write_attention_figures(folder.path, full).size(), 2u);
}

TEST(Heatmap, NumbersColumnsThatStandForSeveralPositions) {
  const Folder folder;
  Heatmap map = small_map();
  map.n_rows = 1;
  map.n_columns = 500;
  map.column_step = 8;
  map.value.assign(500, 0.5f);
  write_heatmap(folder.path / "wide", map, {false, true, false});
  const std::string svg = read_text(folder.path / "wide.svg");
  EXPECT_NE(svg.find(">3500<"), std::string::npos);
  EXPECT_EQ(svg.find(">4500<"), std::string::npos);
}

TEST(Figures, MissingGnuplotIsNamed) {
  const Folder folder;
  const Environment gnuplot("TIDEGAUGE_GNUPLOT", "/nonexistent/gnuplot");
  try {
    write_heatmap(folder.path / "map", small_map());
    FAIL() << "drawn without gnuplot";
  } catch (const WorkError& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/gnuplot"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

TEST(Figures, GnuplotsMessageIsPassedOnAndNothingIsLeft) {
  const Folder folder;
  const auto program = folder.path / "broken";
  write_text_atomically(program, "#!/bin/sh\necho 'no such terminal' >&2\nexit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const Environment gnuplot("TIDEGAUGE_GNUPLOT", program.string());
  try {
    write_heatmap(folder.path / "map", small_map());
    FAIL() << "drawn by a broken program";
  } catch (const WorkError& error) {
    EXPECT_NE(std::string(error.what()).find("no such terminal"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path / "map.png"));
}

TEST(LineChart, DrawsSeriesReferencesAndGaps) {
  const Folder folder;
  LineChart chart;
  chart.title = "Recall";
  chart.x_label = "k (positions)";
  chart.y_label = "recall (share of k)";
  chart.log_x = true;
  chart.series = {{"mapped", {16, 32, 64}, {0.2, NAN, 0.4}, {0.1, NAN, 0.3}, {0.3, NAN, 0.5}, false, {}},
                  {"same head", {16, 32, 64}, {0.1, 0.2, 0.3}, {}, {}, true, {}}};
  chart.horizontal = {{0.9, "full attention"}};
  write_line_chart(folder.path / "lines", chart);
  const std::string svg = read_text(folder.path / "lines.svg");
  for (const char* label :
       {"mapped", "same head", "full attention", "recall (share of k)", ">16<", ">32<", ">64<"}) {
    EXPECT_NE(svg.find(label), std::string::npos) << label;
  }
  EXPECT_NE(svg.find("stroke-dasharray"), std::string::npos);

  chart.series[0].low.pop_back();
  expect_input_error([&] { write_line_chart(folder.path / "lines", chart); }, "series mapped");
}

TEST(Frontier, NamesTheFrontAndTheReference) {
  const Folder folder;
  ScatterFrontier figure;
  figure.title = "Needles found";
  figure.points = {{"2+14", 100, 90, 80, 95, {}, {}, "budget 64", "mapped heads", false},
                   {"2+8", 120, 50, {}, {}, {}, {}, "budget 64", "same head", false},
                   {"2+20", 200, 95, {}, {}, {}, {}, "budget 128", "mapped heads", false},
                   {"full attention", 1000, 100, {}, {}, {}, {}, "", "", true}};
  write_frontier(folder.path / "frontier", figure);
  const std::string svg = read_text(folder.path / "frontier.svg");
  for (const char* label :
       {"2+14", "2+20", "full attention", "budget 64", "budget 128", "mapped heads", "same head"}) {
    EXPECT_NE(svg.find(label), std::string::npos) << label;
  }
  EXPECT_EQ(svg.find("2+8"), std::string::npos) << "a beaten point has no name";
  figure.points.clear();
  expect_input_error([&] { write_frontier(folder.path / "frontier", figure); }, "no points");
}

TEST(ParetoFront, KeepsWhatNoOtherPointBeats) {
  const auto point = [](double x, double y, bool reference = false) {
    FrontierPoint made;
    made.x = x;
    made.y = y;
    made.reference = reference;
    return made;
  };
  const std::vector<FrontierPoint> points = {point(3, 5), point(1, 2),       point(2, 2),    point(1, 1),
                                             point(4, 5), point(0, 9, true), point(NAN, 99), point(3, 6)};
  EXPECT_EQ(pareto_front(points), (std::vector<std::size_t>{1, 7}));
  EXPECT_EQ(pareto_front({point(1, 2), point(1, 2)}), (std::vector<std::size_t>{0}));
  EXPECT_EQ(pareto_front({point(100.0 / 3, 2), point(100.0 / 3 * (1 - 1e-15), 1)}),
            (std::vector<std::size_t>{0}))
      << "a difference of rounding is none";
}

}  // namespace
}  // namespace tide::analysis
