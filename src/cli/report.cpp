// tidegauge report: the page and figures of a run's folder, made again from what the folder holds.

#include "analysis/report.h"

#include <cstdio>
#include <string>

#include "analysis/plan_page.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/common.h"

namespace tide::cli {

namespace {

using analysis::PlotlyPlace;

struct Options {
  std::filesystem::path folder;
  std::string plotly = "inlined";
  bool json = false;
};

void finish(const Options& options, const char* kind, const std::vector<std::string>& findings) {
  const std::string page = (options.folder / "report.html").string();
  if (options.json) {
    print_json({{"kind", kind}, {"report", page}, {"findings", findings}});
    return;
  }
  for (const std::string& finding : findings) fmt::print("{}\n", finding);
  fmt::print("report: {}\n", page);
}

void run(const Options& options) {
  const PlotlyPlace plotly = options.plotly == "beside" ? PlotlyPlace::beside : PlotlyPlace::inlined;
  const auto page = options.folder / "report.html";
  if (!std::filesystem::is_directory(options.folder)) {
    fail_input("{}: no such folder; expected the folder of a sweep or an analysis", options.folder.string());
  }
  if (std::filesystem::exists(options.folder / "results.csv")) {
    const auto summary = analysis::summarise_sweep(options.folder, plotly);
    finish(options, "sweep", summary.findings);
  } else if (std::filesystem::exists(options.folder / "plan.json")) {
    finish(options, "plan", analysis::write_plan_page(options.folder, plotly));
  } else if (std::filesystem::exists(page)) {
    finish(options, "recording", analysis::rewrite_report(page, plotly));
  } else {
    fail_input("{}: neither results.csv (a sweep), plan.json (a plan) nor report.html (an analysis) is there",
               options.folder.string());
  }
}

}  // namespace

void add_report(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "report",
      "Make a run's page again: of a sweep its summary and figures too, from results.csv; of an analysis "
      "the page, from the data inside it");
  command->add_option("RUNDIR", options->folder, "Folder that sweep or analyze wrote")->required();
  command
      ->add_option(
          "--plotly", options->plotly,
          "plotly.js inlined: the page is one file (5 MB more); beside: as plotly.min.js in the page's "
          "folder, for many committed pages")
      ->check(CLI::IsMember({"inlined", "beside"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable result on stdout");
  command->callback([options] { run(*options); });
}

}  // namespace tide::cli
