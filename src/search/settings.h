#pragma once
// The settings of a method that the search chooses beside the placement.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "search/candidate.h"

namespace tide {

/// One setting and what it may be. The search begins with the first value.
struct SettingAxis {
  std::string name;
  std::vector<std::string> values;
};

struct SettingSpace {
  std::vector<SettingAxis> axes;
  /// Brings values that go together in line (a method with one set for all heads takes no map); false: there
  /// is no such method. Empty: all go with all.
  std::function<bool(MethodSettings&)> fit = {};

  /// Every axis at its first value, brought in line. At least that must fit (asserted).
  MethodSettings first() const;
  /// How many there are, those in line with one another counted each.
  std::int64_t count() const;
  /// Each candidate of `from` with one setting at each of its other values, brought in line; once each,
  /// without `from`. Placements stay.
  std::vector<Candidate> changed(const std::vector<Candidate>& from) const;
};

}  // namespace tide
