#include "search/settings.h"

#include <set>

#include "base/error.h"

namespace tide {

MethodSettings SettingSpace::first() const {
  MethodSettings settings;
  for (const SettingAxis& axis : axes) {
    TIDE_ASSERT(!axis.values.empty());
    settings[axis.name] = axis.values.front();
  }
  const bool fits = !fit || fit(settings);
  TIDE_ASSERT(fits);
  return settings;
}

std::int64_t SettingSpace::count() const {
  std::int64_t product = 1;
  for (const SettingAxis& axis : axes) product *= std::ssize(axis.values);
  return product;
}

std::vector<Candidate> SettingSpace::changed(const std::vector<Candidate>& from) const {
  std::set<Candidate> found;
  for (const Candidate& candidate : from) {
    for (const SettingAxis& axis : axes) {
      for (const std::string& value : axis.values) {
        Candidate other = candidate;
        other.settings[axis.name] = value;
        if (!fit || fit(other.settings)) found.insert(std::move(other));
      }
    }
  }
  for (const Candidate& candidate : from) found.erase(candidate);
  return {found.begin(), found.end()};
}

}  // namespace tide
