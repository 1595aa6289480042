#include "search/placement_search.h"

#include <algorithm>
#include <set>

namespace tide {

namespace {

std::vector<Candidate> leaders(const std::vector<Standing>& standings, int count) {
  std::vector<Candidate> best;
  for (const Standing& standing : standings) {
    if (std::ssize(best) == count) break;
    best.push_back(standing.candidate);
  }
  return best;
}

/// Races over the level before, extended, then over its own leaders, altered, until nothing new leads.
std::vector<Standing> beam_search(const SearchOptions& options, const Measure& measure,
                                  const std::vector<Standing>& before) {
  std::vector<Candidate> candidates = options.space.extended(leaders(before, options.beam));
  std::set<Candidate> seen(candidates.begin(), candidates.end());
  std::vector<Standing> best = race(candidates, measure, options.race);
  for (int round = 0; round < options.alterations; ++round) {
    candidates = options.space.moved(leaders(best, options.beam));
    std::erase_if(candidates, [&](const Candidate& candidate) { return !seen.insert(candidate).second; });
    if (candidates.empty()) break;
    // The leaders run again beside the new ones: a race compares on the same samples.
    const Candidate leader = best.front().candidate;
    for (const Candidate& old : leaders(best, options.beam)) candidates.push_back(old);
    best = race(candidates, measure, options.race);
    if (best.front().candidate == leader) break;
  }
  return best;
}

}  // namespace

std::vector<SearchLevel> search_placements(const SearchOptions& options, const Measure& measure) {
  std::vector<SearchLevel> levels;
  for (int n_select = 1; n_select <= options.space.max_select; ++n_select) {
    if (options.space.count(n_select) == 0) break;  // a model has so many layers
    SearchLevel level;
    level.n_select = n_select;
    level.exhaustive = n_select == 1 || options.space.count(n_select) <= options.exhaustive;
    level.standings = level.exhaustive ? race(options.space.all(n_select), measure, options.race)
                                       : beam_search(options, measure, levels.back().standings);
    levels.push_back(std::move(level));
  }
  return levels;
}

}  // namespace tide
