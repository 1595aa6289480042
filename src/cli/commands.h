#pragma once
// The subcommands, one file each. Each function adds its subcommand with its options to the root and
// sets a callback that does the work; errors leave as InputError or WorkError and become exit codes in main.

#include <CLI/CLI.hpp>

namespace tide::cli {

void add_record(CLI::App& root);
void add_analyze(CLI::App& root);
void add_sweep(CLI::App& root);
void add_calibrate(CLI::App& root);
void add_plan(CLI::App& root);
void add_generate(CLI::App& root);
void add_bench(CLI::App& root);
void add_import(CLI::App& root);
void add_export(CLI::App& root);
void add_inspect(CLI::App& root);
void add_report(CLI::App& root);
void add_compare(CLI::App& root);
void add_task(CLI::App& root);

}  // namespace tide::cli
