// tidegauge: the command line. Errors become exit codes here and nowhere else.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"
#include "cli/version.h"

namespace {

constexpr int kDone = 0, kFailed = 1, kWrongInput = 2, kInterrupted = 130;

int report(int code, const std::string& message) {
  std::fprintf(stderr, "tidegauge: %s\n", message.c_str());
  return code;
}

/// The parser's own complaint in one line.
std::string explain(const CLI::ParseError& error) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return message;
}

void add_commands(CLI::App& root) {
  using namespace tide::cli;
  add_record(root);
  add_analyze(root);
  add_sweep(root);
  add_calibrate(root);
  add_plan(root);
  add_generate(root);
  add_bench(root);
  add_import(root);
  add_export(root);
  add_inspect(root);
  add_report(root);
  add_compare(root);
  add_task(root);
  for (CLI::App* command : root.get_subcommands({})) {
    command->set_version_flag("--version", TIDEGAUGE_VERSION);
    add_config_options(*command);
  }
}

int run(int argc, char** argv) {
  CLI::App root{"TideGauge: records, measures and places position-persistent sparse attention", "tidegauge"};
  root.set_version_flag("--version", TIDEGAUGE_VERSION);
  root.require_subcommand(1);
  add_commands(root);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    tide::cli::check_words(root, arguments);
    arguments = tide::cli::expand_config(root, std::move(arguments));
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
    root.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      root.exit(error);
      return kDone;
    }
    return report(kWrongInput, explain(error));
  }
  return tide::cli::interrupted() ? kInterrupted : kDone;
}

}  // namespace

int main(int argc, char** argv) {
  tide::cli::install_signal_handlers();
  try {
    return run(argc, argv);
  } catch (const tide::InputError& error) {
    return report(kWrongInput, error.what());
  } catch (const std::exception& error) {
    return report(kFailed, error.what());
  }
}
