#pragma once
// The search: for each number of selection layers the best placement and the method's best settings, over
// samples of its own.

#include <map>
#include <vector>

#include "search/race.h"
#include "search/settings.h"

namespace tide {

/// How placements are looked at, beyond one selection layer (of which all are).
enum class SearchMode {
  automatic,   ///< all where there are few, else by a beam
  exhaustive,  ///< all
  beam,        ///< the best with one layer less, extended; then with one layer moved
  /// The best with one layer less, extended by one; then layers are taken away as long as that gives a better
  /// placement of fewer (sequential floating selection: Pudil, Novovicova, Kittler, 1994).
  greedy,
};

struct SearchOptions {
  CandidateSpace space;
  SettingSpace settings = {};
  RaceOptions race = {};
  SearchMode mode = SearchMode::automatic;
  std::int64_t exhaustive = 500;  ///< automatic: placements of one number of layers that are all looked at
  int beam = 6;                   ///< placements that are extended and altered
  int alterations = 2;            ///< rounds in which the beam's placements have a layer moved
  int altered = 3;                ///< leaders whose settings are changed, one at a time
  int rounds = 3;                 ///< in which settings, then placements under them, are changed at most
  /// Placements that something else proposes: looked at beside the others, by number of selection layers.
  std::map<int, std::vector<std::vector<int>>> proposed = {};
  /// Where not empty, a level begins with these in place of all (another budget's leaders).
  std::map<int, std::vector<Candidate>> begin_with = {};
};

/// The best candidates with one number of selection layers.
struct SearchLevel {
  int n_select = 0;
  bool exhaustive = false;          ///< every placement was looked at, if only with the first settings
  std::vector<Standing> standings;  ///< of all looked at, best first, see race
};

/// One level for every number of selection layers from 1 to the most, by rising number. A level's placements
/// race with the first settings and with the best of the level before, which may be worth nothing where fewer
/// layers do not do; then, around its leaders, one setting is changed at a time, and the placement under the
/// best settings has a layer moved, in turn, until nothing new leads: the whole product is never looked at.
std::vector<SearchLevel> search_placements(const SearchOptions& options, const Measure& measure);

/// The first `count` standings' candidates.
std::vector<Candidate> leaders(const std::vector<Standing>& standings, int count);

}  // namespace tide
