// Short names of methods for legends and labels.

#include <algorithm>
#include <map>
#include <set>

#include "analysis/sweep_summary.h"
#include "base/error.h"
#include "base/text.h"

namespace tide::analysis {
namespace {

using Parameters = std::map<std::string, std::string>;

/// A policy's spec taken apart, without its budget.
struct Method {
  std::string name;
  Parameters parameters;
  bool operator==(const Method&) const = default;
};

Method method_of(const std::string& policy) {
  const auto colon = policy.find(':');
  Method method{policy.substr(0, colon), {}};
  if (colon == std::string::npos) return method;
  for (const std::string& field : split(policy.substr(colon + 1), ',')) {
    const auto equals = field.find('=');
    const std::string key = field.substr(0, equals);
    if (key != "budget") method.parameters[key] = equals == std::string::npos ? "" : field.substr(equals + 1);
  }
  return method;
}

/// The keys that not all methods of a name have with the same value.
std::map<std::string, std::set<std::string>> differing_keys(const std::vector<Method>& methods) {
  std::map<std::string, const Method*> first;
  std::map<std::string, std::set<std::string>> differing;
  for (const Method& method : methods) {
    const auto [entry, is_new] = first.try_emplace(method.name, &method);
    const Parameters &mine = method.parameters, &theirs = entry->second->parameters;
    for (const auto* one : {&mine, &theirs}) {
      for (const auto& [key, value] : *one) {
        const auto a = mine.find(key), b = theirs.find(key);
        if (a == mine.end() || b == theirs.end() || a->second != b->second)
          differing[method.name].insert(key);
      }
    }
  }
  return differing;
}

/// The policy's name and as many words as tell it from others, 0 to 3 of them.
std::string name_of(const Configuration& c, const Method& method, const std::set<std::string>& differing,
                    int words) {
  if (words == 0) return method.name;
  if (words == 1) return c.selection == method.name ? method.name : method.name + " " + c.selection;
  if (words == 2) return fmt::format("{} {}, {}", method.name, c.selection, c.heads);
  std::string name = method.name;
  for (const std::string& key : differing) {
    const auto found = method.parameters.find(key);
    if (found != method.parameters.end())
      name += fmt::format("{}{}={}", name == method.name ? " " : ", ", key, found->second);
  }
  return name;
}

}  // namespace

std::vector<std::string> names_of_policies(const std::vector<std::string>& policies) {
  std::vector<Method> methods;
  for (const std::string& policy : policies) methods.push_back(method_of(policy));
  const auto differing = differing_keys(methods);
  std::vector<std::string> names;
  for (const Method& method : methods) {
    const auto found = differing.find(method.name);
    names.push_back(found == differing.end() ? method.name : name_of({}, method, found->second, 3));
  }
  return names;
}

void name_methods(std::vector<Configuration>& configurations) {
  std::vector<Method> methods;
  for (const Configuration& c : configurations) methods.push_back(method_of(c.policy));
  const auto differing = differing_keys(methods);
  const auto name = [&](std::size_t i, int words) {
    const auto found = differing.find(methods[i].name);
    static const std::set<std::string> none;
    return name_of(configurations[i], methods[i], found == differing.end() ? none : found->second, words);
  };
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    for (int words = 0; words < 4; ++words) {
      configurations[i].method = name(i, words);
      bool alone = true;
      for (std::size_t j = 0; j < configurations.size() && alone; ++j)
        alone = methods[j] == methods[i] || name(j, words) != configurations[i].method;
      if (alone) break;
    }
  }
}

}  // namespace tide::analysis
