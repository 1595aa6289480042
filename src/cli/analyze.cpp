// analyze: recordings -> overlap, recall, mass, persistence, head map; CSV, PNG, SVG, report.html.

#include "analysis/analyze.h"

#include <cstdio>
#include <memory>

#include "analysis/figures_attention.h"
#include "analysis/findings.h"
#include "analysis/presentation.h"
#include "analysis/report.h"
#include "analysis/tables.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> recordings;
  fs::path out, map;
  analysis::AnalysisOptions analysis;
  bool no_figures = false, force = false, json = false;
};

/// A folder of ours that stays empty when the work fails is taken away again.
class OutputFolder {
 public:
  OutputFolder(const fs::path& folder, const std::string& config, bool force)
      : folder_(folder), existed_(fs::exists(folder)) {
    prepare_output_folder(folder, config, force);
  }
  ~OutputFolder() {
    std::error_code ignored;
    if (!kept_ && !existed_) fs::remove_all(folder_, ignored);
  }
  void keep() { kept_ = true; }

 private:
  fs::path folder_;
  bool existed_, kept_ = false;
};

void tell(const Options& options, const analysis::Findings& findings, const std::string& summary) {
  if (options.json) {
    std::fputs(summary.c_str(), stdout);
    return;
  }
  for (const auto& sentence : findings.sentences) std::printf("%s\n", sentence.c_str());
  for (const auto& note : findings.notes) std::printf("Note: %s\n", note.c_str());
  std::printf("Tables, figures and head map: %s\n", options.out.c_str());
  if (!options.no_figures) std::printf("Report: %s\n", (options.out / "report.html").c_str());
}

/// Two analyses are the same when their options and their recordings are.
std::string fingerprint(const Options& options, const CLI::App& command) {
  std::string text = resolved_config(command);
  for (const auto& recording : options.recordings) text += "# recording " + recording.string() + "\n";
  return text;
}

void run(Options& options, const CLI::App& command) {
  OutputFolder folder(options.out, fingerprint(options, command), options.force);
  if (!options.map.empty()) options.analysis.map = read_head_map(options.map);
  Progress progress("analyze");
  options.analysis.progress = [&](std::int64_t done, std::int64_t total) {
    progress.update(done, total);
    return !interrupted();
  };
  const analysis::Analysis result = analysis::analyze(options.recordings, options.analysis);
  if (result.stopped) return;  // exit code 130; nothing was written
  const analysis::Findings findings = analysis::find(result);
  const std::string summary = analysis::summary_json(result, findings);
  folder.keep();
  analysis::write_tables(options.out, result);
  if (!options.no_figures) {
    analysis::write_analysis_figures(options.out, result, findings);
    const analysis::RecordingReport page = analysis::recording_report(result, findings);
    if (!page.attention.empty()) analysis::write_attention_figures(options.out, page.attention.front());
    analysis::write_recording_report(options.out / "report.html", page);
  }
  write_text_atomically(options.out / "summary.json", summary);
  tell(options, findings, summary);
}

void add_measure_options(CLI::App& command, analysis::AnalysisOptions& options) {
  const auto group = "Measures";
  const auto count = CLI::Range(0, 1 << 30);
  command.add_option("--k", options.k_list, "Sizes of the top-k sets, comma-separated")
      ->delimiter(',')
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--exclude-sinks", options.excluded.sinks,
                  "First positions left out of every set (positions)")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--exclude-recent", options.excluded.recent,
                  "Last positions left out of every set (positions)")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command
      .add_flag("--exclude-forced", options.exclude_forced,
                "Recorded sets without their sinks and recent window")
      ->group(group);
  command.add_option("--max-distance", options.max_distance, "Largest distance of persistence (steps)")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options.seed, "Seed of the bootstrap")->capture_default_str()->group(group);
}

void add_map_options(CLI::App& command, Options& options) {
  const auto group = "Head map";
  const auto count = CLI::Range(0, 1 << 30);
  auto& measures = options.analysis;
  command.add_option("--unit", measures.unit, "Heads that are mapped, also for recall and mass")
      ->check(CLI::IsMember({"query_head", "kv_head"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--map-k", measures.map_k, "Top-k whose mass decides")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--map-exclude-sinks", measures.map_excluded.sinks, "First positions the map leaves out")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--map-exclude-recent", measures.map_excluded.recent, "Last positions the map leaves out")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command.add_option("--map", options.map, "Measure this head map instead of making one")->group(group);
}

}  // namespace

void add_analyze(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("analyze", "Overlap, recall, mass, persistence and head map of recordings");
  command->add_option("recordings", options->recordings, "Recordings of one model (HDF5)")->required();
  command->add_option("--out", options->out, "Folder for tables, figures, head map and report")->required();
  add_measure_options(*command, options->analysis);
  add_map_options(*command, *options);
  command->add_flag("--allow-incomplete", options->analysis.allow_incomplete,
                    "Take the committed steps of a recording that was never closed");
  command->add_flag("--no-figures", options->no_figures, "Tables and summary only");
  command->add_flag("--force", options->force, "Write into a folder that holds another analysis");
  command->add_flag("--json", options->json, "The summary as JSON on stdout");
  command->callback([options, command] { run(*options, *command); });
}

}  // namespace tide::cli
