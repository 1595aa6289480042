#pragma once
// The search: for each number of selection layers the best placement, over samples of its own.

#include <functional>
#include <string>
#include <vector>

#include "search/race.h"

namespace tide {

struct SearchOptions {
  CandidateSpace space;
  RaceOptions race;
  std::int64_t exhaustive = 500;  ///< placements of one number of selection layers that are all looked at
  int beam = 6;                   ///< beyond that: so many placements are extended and altered
  int alterations = 2;            ///< rounds in which the beam's placements have a layer moved
};

/// The best placements with one number of selection layers.
struct SearchLevel {
  int n_select = 0;
  bool exhaustive = false;
  std::vector<Standing> standings;  ///< best first, see race
};

/// One level for every number of selection layers from 1 to the most, by rising number. Where not all
/// placements are looked at, the level's race is over the best of the level before with one layer more, then
/// over its own leaders with one layer moved.
std::vector<SearchLevel> search_placements(const SearchOptions& options, const Measure& measure);

}  // namespace tide
