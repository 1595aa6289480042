#pragma once
// `--config FILE.toml` and `--set key=value`, for every command whose options are plain.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tide::cli {

/// Adds --config and --set to a command that has no --config of its own.
void add_config_options(CLI::App& command);

/// Throws InputError with the nearest word for a command or a long option that does not exist: said
/// before the parser complains of what else is missing.
void check_words(const CLI::App& root, const std::vector<std::string>& arguments);

/// The arguments with the file's keys and the --set pairs written out as options. What stands on the
/// command line wins over --set, which wins over the file. Throws InputError: an unknown key (with
/// the nearest one), a value that is neither text, number, truth value nor a list of them.
std::vector<std::string> expand_config(const CLI::App& root, std::vector<std::string> arguments);

/// Every option of a command with its value, as TOML: what is saved beside an output.
std::string resolved_config(const CLI::App& command);

}  // namespace tide::cli
