#include "policy/registry.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "policy/base.h"
#include "policy/plan_file.h"

namespace tide {

namespace {

struct Entry {
  const char* name;
  std::shared_ptr<const AttentionPolicy> (*make)(PolicySpec&, const PolicyContext&);
};

constexpr std::array kEntries = {
    Entry{"doublesparsity", make_doublesparsity},
    Entry{"full", make_full},
    Entry{"h2o", make_h2o},
    Entry{"kascade", make_kascade},
    Entry{"lessismore", make_lessismore},
    Entry{"omnikv", make_omnikv},
    Entry{"oracle", make_oracle},
    Entry{"quest", make_quest},
    Entry{"random", make_random},
    Entry{"snapkv", make_snapkv},
    Entry{"sparq", make_sparq},
    Entry{"streaming", make_streaming},
    Entry{"tidal", make_tidal},
    Entry{"tokenselect", make_tokenselect},
    Entry{"window", make_window},
};

}  // namespace

std::shared_ptr<const AttentionPolicy> make_policy(std::string_view text, const PolicyContext& context) {
  PolicySpec spec(text.starts_with('@') ? policy_of_plan(std::string(text.substr(1))) : std::string(text));
  for (const Entry& entry : kEntries) {
    if (spec.name() == entry.name) return entry.make(spec, context);
  }
  fail_input("policy '{}' is unknown; the nearest is '{}'", spec.name(),
             nearest(spec.name(), policy_names()));
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

}  // namespace tide
