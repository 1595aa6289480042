// tidegauge compare: a run's figures beside a paper's.

#include <cmath>
#include <cstdio>

#include "analysis/published.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/common.h"

namespace tide::cli {

namespace {

struct Options {
  std::filesystem::path folder, published;
  bool json = false;
};

std::string number(double value) { return std::isnan(value) ? "" : fmt::format("{:.4g}", value); }

void print_table(const std::vector<analysis::ComparedFigure>& figures) {
  std::size_t widest = 6;
  for (const auto& f : figures) widest = std::max(widest, f.series.size());
  fmt::print("{:<{}} {:>8} {:>9} {:>19} {:>5} {:>10}  {}\n", "series", widest, "x", "ours", "95 % interval",
             "n", "published", "for");
  for (const auto& f : figures) {
    const std::string interval =
        std::isnan(f.low) ? "" : fmt::format("{} to {}", number(f.low), number(f.high));
    const std::string place = std::isnan(f.published_x) || f.published_x == f.x
                                  ? ""
                                  : fmt::format("x = {}; ", number(f.published_x));
    const std::string relation = f.relation.empty() ? "" : f.relation + " ";
    fmt::print("{:<{}} {:>8} {:>9} {:>19} {:>5} {:>10}  {}\n", f.series, widest, number(f.x), number(f.ours),
               interval, number(f.n), std::isnan(f.published) ? "" : relation + number(f.published),
               std::isnan(f.published) ? "" : place + f.published_for);
  }
}

nlohmann::json json_of(const analysis::ComparedFigure& f) {
  nlohmann::json row = {{"series", f.series}};
  const std::pair<const char*, double> numbers[] = {{"x", f.x},          {"ours", f.ours},
                                                    {"ours_low", f.low}, {"ours_high", f.high},
                                                    {"n", f.n},          {"published", f.published}};
  for (const auto& [key, value] : numbers) {
    if (!std::isnan(value)) row[key] = value;
  }
  if (!f.source.empty()) row["source"] = f.source;
  return row;
}

void run(const Options& options) {
  if (!std::filesystem::is_directory(options.folder))
    fail_input("{}: no such folder; expected the folder of a run", options.folder.string());
  const auto published = analysis::read_published(options.published);
  const auto figures = analysis::compare_published(published, options.folder);
  analysis::write_compared(options.folder, published, figures);
  const auto csv = options.folder / "compared.csv";
  if (options.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& figure : figures) rows.push_back(json_of(figure));
    print_json({{"compared", csv.string()}, {"figures", rows}});
    return;
  }
  print_table(figures);
  fmt::print("compared: {}\n", csv.string());
}

}  // namespace

void add_compare(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "compare", "Set a run's figures beside published ones: compared.csv and a figure in the run's folder");
  command->add_option("RUNDIR", options->folder, "Folder that holds what sweep, analyze or bench wrote")
      ->required();
  command
      ->add_option("--published", options->published,
                   "TOML file with the published figures, their sources, and which rows they stand beside")
      ->type_name("FILE.toml")
      ->required();
  command->add_flag("--json", options->json, "Machine-readable result on stdout");
  command->callback([options] { run(*options); });
}

}  // namespace tide::cli
