#pragma once
// What `tidegauge plan` found, as its placement.toml says it.

#include <string>

namespace tide {

/// The letters under key `placement`. `where` begins the messages. Throws InputError naming the file, and the
/// line where it is no TOML: no such file, no such key.
std::string placement_of_plan(const std::string& file, const std::string& where);

/// The whole policy spec under key `policy`. The head map moves with the plan's folder: one of its name
/// beside the file is taken before the one at the place that the spec names. Throws InputError as above.
std::string policy_of_plan(const std::string& file);

}  // namespace tide
