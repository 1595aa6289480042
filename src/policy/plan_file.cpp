#include "policy/plan_file.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tide {

namespace {

std::string text_of_key(const std::string& file, const char* key, const std::string& where) {
  try {
    const toml::table plan = toml::parse(read_text(file), file);
    const auto text = plan[key].value<std::string>();
    if (!text) fail_input("{}: {} has no text under key '{}'", where, file, key);
    return *text;
  } catch (const toml::parse_error& error) {
    fail_input("{}: {}, line {}: {}", where, file, error.source().begin.line, error.description());
  }
}

}  // namespace

std::string placement_of_plan(const std::string& file, const std::string& where) {
  return text_of_key(file, "placement", where + ": placement");
}

std::string policy_of_plan(const std::string& file) {
  constexpr std::string_view kMap = "map=@";
  const std::string spec = text_of_key(file, "policy", "policy @" + file);
  const auto colon = spec.find(':');
  if (colon == std::string::npos) return spec;
  auto fields = split(spec.substr(colon + 1), ',');
  for (std::string& field : fields) {
    if (!field.starts_with(kMap)) continue;
    const auto beside = std::filesystem::path(file).parent_path() /
                        std::filesystem::path(field.substr(kMap.size())).filename();
    if (std::filesystem::exists(beside)) field = std::string(kMap) + beside.string();
  }
  return fmt::format("{}:{}", spec.substr(0, colon), fmt::join(fields, ","));
}

}  // namespace tide
