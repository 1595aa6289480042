#include "policy/placement.h"

#include <toml++/toml.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "policy/spec.h"

namespace tide {

namespace {

/// The letters of `placement=`; `@FILE` reads the key `placement` of a plan's file.
std::string placement_text(const std::string& value, const std::string& where) {
  if (!value.starts_with('@')) return value;
  const std::string file = value.substr(1);
  try {
    const toml::table plan = toml::parse(read_text(file), file);
    const auto letters = plan["placement"].value<std::string>();
    if (!letters) fail_input("{}: placement: {} has no text under key 'placement'", where, file);
    return *letters;
  } catch (const toml::parse_error& error) {
    fail_input("{}: placement: {}, line {}: {}", where, file, error.source().begin.line, error.description());
  }
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

std::vector<Role> take_reuse_placement(PolicySpec& spec, const ModelConfig& config,
                                       const std::vector<int>& default_select) {
  std::vector<Role> roles;
  if (spec.has("placement")) {
    roles = parse_placement(spec, config, "FS.");
  } else {
    const auto select = parse_layers(spec.take("select", format_layers(default_select)), config.n_layers,
                                     spec.where() + ": select");
    const std::string default_full = config.n_layers > 1 ? "0-1" : "0";
    const auto full = parse_layers(spec.take("full", default_full), config.n_layers, spec.where() + ": full");
    if (select.empty()) fail_input("{}: select names no layer", spec.where());
    roles.assign(static_cast<std::size_t>(config.n_layers), Role::sparse);
    std::fill(roles.begin(), roles.begin() + select.front(), Role::full);
    for (const int layer : full) roles[static_cast<std::size_t>(layer)] = Role::full;
    for (const int layer : select) {
      const bool twice = spec.has("full") && std::binary_search(full.begin(), full.end(), layer);
      if (twice) fail_input("{}: layer {} is named in full and in select", spec.where(), layer);
      roles[static_cast<std::size_t>(layer)] = Role::select;
    }
    spec.forget("select");
    spec.forget("full");
    spec.take("placement", "");
  }
  const auto first_sparse = std::find(roles.begin(), roles.end(), Role::sparse);
  if (std::find(roles.begin(), first_sparse, Role::select) == first_sparse && first_sparse != roles.end()) {
    fail_input("{}: layer {} is sparse before any selection layer", spec.where(),
               first_sparse - roles.begin());
  }
  spec.resolve("placement", placement_letters(roles));
  return roles;
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
