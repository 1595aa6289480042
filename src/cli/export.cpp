// tidegauge export FILE DATASET… --out: datasets of a recording as csv, npy, npz or json.

#include "record/export.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"

namespace tide::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  fs::path file, out;
  std::vector<std::string> datasets;
  std::string format;
  bool force = false, json = false;
};

void run(const Options& options) {
  std::string format = options.format;
  if (format.empty() && options.out.has_extension()) format = options.out.extension().string().substr(1);
  if (format.empty())
    fail_input("export: {} names no format; use --format csv, npy, npz or json", options.out.string());
  const ExportFormat parsed = export_format(format);
  if (!options.force && fs::exists(options.out)) {
    fail_input("export: {} exists; name another file or use --force", options.out.string());
  }
  export_datasets(options.file, options.datasets, parsed, options.out);
  const auto bytes = fs::file_size(options.out);
  if (options.json) {
    print_json({{"file", options.out.string()},
                {"format", format},
                {"datasets", options.datasets},
                {"bytes", bytes}});
  } else {
    std::printf("%s: %s\n", options.out.c_str(), human_bytes(static_cast<double>(bytes)).c_str());
  }
}

}  // namespace

void add_export(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("export", "Datasets of a recording as csv, npy, npz or json");
  command->add_option("file", options->file, "The recording")->required();
  command
      ->add_option("dataset", options->datasets,
                   "Path inside it, such as /layers/02/selected; npz takes several")
      ->required();
  command->add_option("--out", options->out, "The file to write")->required();
  command->add_option("--format", options->format, "csv, npy, npz or json; left out: from the file's ending");
  command->add_flag("--force", options->force, "Replace what is there");
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  command->callback([options] { run(*options); });
}

}  // namespace tide::cli
