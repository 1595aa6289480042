#include "policy/placement.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "policy/plan_file.h"
#include "policy/spec.h"

namespace tide {

namespace {

/// The letters of `placement=`; `@FILE` reads the key `placement` of a plan's file.
std::string placement_text(const std::string& value, const std::string& where) {
  return value.starts_with('@') ? placement_of_plan(value.substr(1), where) : value;
}

std::vector<Role> parse_placement(PolicySpec& spec, const ModelConfig& config, std::string_view allowed) {
  for (const char* key : {"full", "select"}) {
    if (spec.has(key)) fail_input("{}: placement and {} exclude each other", spec.where(), key);
  }
  const std::string letters = placement_text(spec.take("placement", ""), spec.where());
  if (letters.size() != static_cast<std::size_t>(config.n_layers)) {
    fail_input("{}: placement '{}' has {} letters, the model has {} layers", spec.where(), letters,
               letters.size(), config.n_layers);
  }
  std::vector<Role> roles;
  for (const char letter : letters) {
    if (allowed.find(letter) == std::string_view::npos) {
      fail_input("{}: placement '{}' has the letter '{}', expected one of '{}'", spec.where(), letters,
                 letter, allowed);
    }
    roles.push_back(role_of_letter(letter));
  }
  spec.resolve("placement", letters);
  return roles;
}

}  // namespace

namespace {

/// From `full=` and `select=`.
std::vector<Role> roles_of_lists(PolicySpec& spec, const ModelConfig& config, const ReusePlacement& method) {
  const auto layers = [&](const char* key, const std::string& fallback) {
    return parse_layers(spec.take(key, fallback), config.n_layers, fmt::format("{}: {}", spec.where(), key));
  };
  const auto select = layers("select", format_layers(method.select));
  const auto full = layers("full", config.n_layers > 1 ? method.full : "0");
  if (select.empty()) fail_input("{}: select names no layer", spec.where());
  std::vector<Role> roles(static_cast<std::size_t>(config.n_layers), Role::sparse);
  std::fill(roles.begin(), roles.begin() + select.front(), Role::full);
  for (const int layer : full) roles[static_cast<std::size_t>(layer)] = Role::full;
  for (const int layer : select) {
    const bool twice = spec.has("full") && std::binary_search(full.begin(), full.end(), layer);
    if (twice) fail_input("{}: layer {} is named in full and in select", spec.where(), layer);
    roles[static_cast<std::size_t>(layer)] = layer == 0 ? Role::select : method.chooser;
    const std::size_t after = static_cast<std::size_t>(layer) + 1;
    if (method.full_after && after < roles.size()) roles[after] = Role::full;
  }
  spec.forget("select");
  spec.forget("full");
  spec.take("placement", "");
  return roles;
}

bool chooses(Role role) { return role == Role::select || role == Role::estimate; }

}  // namespace

std::vector<Role> take_reuse_placement(PolicySpec& spec, const ModelConfig& config,
                                       const ReusePlacement& method) {
  const std::string letters = method.chooser == Role::estimate ? "FSE." : "FS.";
  const std::vector<Role> roles =
      spec.has("placement") ? parse_placement(spec, config, letters) : roles_of_lists(spec, config, method);
  const auto first_sparse = std::find(roles.begin(), roles.end(), Role::sparse);
  if (std::find_if(roles.begin(), first_sparse, chooses) == first_sparse && first_sparse != roles.end()) {
    fail_input("{}: layer {} is sparse before any selection layer", spec.where(),
               first_sparse - roles.begin());
  }
  spec.resolve("placement", placement_letters(roles));
  return roles;
}

std::vector<int> tidal_layers(int n_layers) {
  const int first = std::min(2, n_layers - 1);
  const int middle = at_same_depth({13}, 32, n_layers).front();
  return middle > first ? std::vector<int>{first, middle} : std::vector<int>{first};
}

std::vector<int> at_same_depth(const std::vector<int>& layers, int paper_layers, int n_layers) {
  std::vector<int> result;
  for (const int layer : layers) {
    const int here =
        std::min(static_cast<int>(std::lround(1.0 * layer * n_layers / paper_layers)), n_layers - 1);
    if (result.empty() || here > result.back()) result.push_back(here);
  }
  return result;
}

std::vector<Role> take_uniform_placement(PolicySpec& spec, const ModelConfig& config, Role role,
                                         const std::string& default_full) {
  std::vector<Role> roles;
  if (spec.has("placement")) {
    roles = parse_placement(spec, config, std::string("F") + role_letter(role));
  } else {
    roles.assign(static_cast<std::size_t>(config.n_layers), role);
    for (const int layer :
         parse_layers(spec.take("full", default_full), config.n_layers, spec.where() + ": full")) {
      roles[static_cast<std::size_t>(layer)] = Role::full;
    }
    spec.forget("full");
    spec.take("placement", "");
  }
  spec.resolve("placement", placement_letters(roles));
  return roles;
}

}  // namespace tide
