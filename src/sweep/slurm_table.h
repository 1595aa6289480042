#pragma once
// [slurm] out of a table that has been parsed. Sees toml++: for .cpp files.

#include <toml++/toml.h>

#include <string>

#include "sweep/slurm_options.h"

namespace tide {

/// `where`: the file that the table is of. Throws InputError: an unknown key, a value of another kind or out
/// of range, a text with a line break.
SlurmOptions read_slurm_options(const toml::table& table, const std::string& where);

}  // namespace tide
