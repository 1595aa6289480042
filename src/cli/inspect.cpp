// tidegauge inspect FILE: what a recording (or a model) holds, and whether it is sound.

#include "record/inspect.h"

#include <fmt/ranges.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/inspect_model.h"
#include "model/checkpoint.h"
#include "record/recover.h"

namespace tide::cli {

namespace fs = std::filesystem;

namespace {

struct Options {
  fs::path file, recover;
  bool force = false, json = false;
};

nlohmann::json to_json(const fs::path& file, const Inspection& inspection) {
  nlohmann::json result = {{"file", file.string()},
                           {"kind", "recording"},
                           {"bytes", inspection.file_bytes},
                           {"steps", inspection.steps},
                           {"complete", inspection.complete},
                           {"sound", inspection.sound()},
                           {"attributes", nlohmann::json::object()},
                           {"datasets", nlohmann::json::array()},
                           {"checks", nlohmann::json::array()}};
  for (const auto& [name, value] : inspection.attributes) result["attributes"][name] = value;
  for (const DatasetFacts& dataset : inspection.datasets) {
    result["datasets"].push_back({{"path", dataset.path},
                                  {"type", dataset.type},
                                  {"shape", dataset.shape},
                                  {"units", dataset.units},
                                  {"description", dataset.description},
                                  {"stored_bytes", dataset.stored_bytes}});
  }
  for (const auto& [layer, rate] : inspection.reuse_rate)
    result["reuse_rate"].push_back(
        {{"layer", layer}, {"rate", std::isnan(rate) ? nlohmann::json() : nlohmann::json(rate)}});
  for (const SoundnessCheck& check : inspection.checks) {
    result["checks"].push_back(
        {{"what", check.what}, {"passed", check.problem.empty()}, {"problem", check.problem}});
  }
  return result;
}

void print_text(const fs::path& file, const Inspection& inspection) {
  std::printf("%s: recording, %s, %lld steps\n", file.c_str(),
              human_bytes(static_cast<double>(inspection.file_bytes)).c_str(),
              static_cast<long long>(inspection.steps));
  for (const auto& [name, value] : inspection.attributes) {
    if (name != "config_toml") std::printf("  %-16s %s\n", name.c_str(), value.c_str());
  }
  for (const DatasetFacts& dataset : inspection.datasets) {
    const std::string shape = fmt::format("[{}]", fmt::join(dataset.shape, ", "));
    std::printf("  %-30s %-8s %-20s %8s  %s\n", dataset.path.c_str(), dataset.type.c_str(), shape.c_str(),
                human_bytes(static_cast<double>(dataset.stored_bytes)).c_str(), dataset.description.c_str());
  }
  for (const auto& [layer, rate] : inspection.reuse_rate)
    std::printf("  layer %d: %.3f of its steps reused the sets of an earlier one\n", layer, rate);
  for (const SoundnessCheck& check : inspection.checks) {
    if (!check.problem.empty()) std::printf("  FAILED %s: %s\n", check.what.c_str(), check.problem.c_str());
  }
  if (inspection.sound()) std::printf("sound: %zu checks passed\n", inspection.checks.size());
}

void inspect_one(const Options& options) {
  const Inspection inspection = inspect_recording(options.file);
  if (options.json) {
    print_json(to_json(options.file, inspection));
  } else {
    print_text(options.file, inspection);
  }
  if (!inspection.sound())
    fail_input("inspect {}: not sound: {}", options.file.string(), inspection.verdict());
}

void recover(const Options& options) {
  if (!options.force && fs::exists(options.recover)) {
    fail_input("recover: {} exists; name another file or use --force", options.recover.string());
  }
  // The copy is written to OUT.part, which must not be what it is copied from.
  fs::path part = options.recover;
  part += ".part";
  std::error_code ignored;
  if (fs::equivalent(part, options.file, ignored) || fs::equivalent(options.recover, options.file, ignored)) {
    fail_input("recover: {} would be written over what it is copied from; name another file",
               options.recover.string());
  }
  const std::int64_t steps = recover_recording(options.file, options.recover);
  if (options.json) {
    print_json({{"file", options.recover.string()}, {"steps", steps}});
  } else {
    std::printf("%s: %lld committed steps copied out\n", options.recover.c_str(),
                static_cast<long long>(steps));
  }
}

void run(const Options& options) {
  const bool is_model = looks_like_checkpoint(options.file);
  if (is_model && options.recover.empty()) return inspect_model(options.file, options.json);
  if (is_model || !looks_like_hdf5(options.file)) {
    fail_input("{} {}: not an HDF5 file (signature missing at byte 0), expected a recording{}",
               options.recover.empty() ? "inspect" : "recover", options.file.string(),
               options.recover.empty() ? " or a model" : "");
  }
  if (!options.recover.empty()) return recover(options);
  inspect_one(options);
}

}  // namespace

void add_inspect(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("inspect", "What a recording or a model holds, and whether it is sound");
  command
      ->add_option("file", options->file,
                   "A recording, what a cut-off one left (.part), a GGUF file, or a Hugging Face folder")
      ->required();
  command->add_option("--recover", options->recover,
                      "Copy the committed steps of a cut-off recording into this file");
  command->add_flag("--force", options->force, "Replace what is there");
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  command->callback([options] { run(*options); });
}

}  // namespace tide::cli
