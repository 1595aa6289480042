#include "search/placement_search.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"

namespace tide {

namespace {

/// One number of selection layers, while it is searched.
class Level {
 public:
  Level(const SearchOptions& options, const Measure& measure) : options_(options), measure_(measure) {}

  bool empty() const { return standings_.empty(); }
  const Candidate& leader() const { return standings_.front().candidate; }
  std::vector<Candidate> best(int count) const { return leaders(standings_, count); }

  /// The placements of the best candidates, each once, with these settings.
  std::vector<Candidate> placements(int count, const MethodSettings& settings) const {
    std::vector<Candidate> found;
    std::set<std::vector<int>> seen;
    for (const Standing& standing : standings_) {
      if (std::ssize(found) == count) break;
      if (seen.insert(standing.candidate.select).second)
        found.push_back({standing.candidate.select, settings});
    }
    return found;
  }

  /// Races what was not raced yet, beside the leaders: a race compares on the same samples. Whether another
  /// candidate leads.
  bool race_new(std::vector<Candidate> candidates) {
    const std::set<Candidate> once(candidates.begin(), candidates.end());
    candidates.clear();
    for (const Candidate& candidate : once) {
      if (!seen_.contains(candidate)) candidates.push_back(candidate);
    }
    if (candidates.empty()) return false;
    const auto before = best(1);
    for (Candidate& old : best(options_.beam)) candidates.push_back(std::move(old));
    for (Standing& standing : race(std::move(candidates), measure_, options_.race)) take(std::move(standing));
    std::sort(standings_.begin(), standings_.end(), stands_before);
    return best(1) != before;
  }

  /// One setting changed at a time, then one layer moved under the best settings, as long as other settings
  /// lead.
  void alter() {
    for (int round = 0; round < options_.rounds; ++round) {
      // Under the same settings the leader has been compared with its neighbours already.
      if (!race_new(options_.settings.changed(best(options_.altered)))) return;
      auto others = options_.space.moved(best(1));
      for (Candidate& placement : placements(options_.beam, leader().settings))
        others.push_back(std::move(placement));
      race_new(std::move(others));
    }
  }

  SearchLevel result(int n_select, bool exhaustive) && {
    return {n_select, exhaustive, std::move(standings_)};
  }

 private:
  /// A candidate that ran again is what it was with more samples.
  void take(Standing standing) {
    if (seen_.insert(standing.candidate).second) {
      standings_.push_back(std::move(standing));
      return;
    }
    const auto known = std::find_if(standings_.begin(), standings_.end(), [&](const Standing& other) {
      return other.candidate == standing.candidate;
    });
    if (known->worth.size() < standing.worth.size()) *known = std::move(standing);
  }

  const SearchOptions& options_;
  const Measure& measure_;
  std::vector<Standing> standings_;
  std::set<Candidate> seen_;
};

class Search {
 public:
  Search(const SearchOptions& options, const Measure& measure) : options_(options), measure_(measure) {}

  std::vector<SearchLevel> run() {
    const CandidateSpace& space = options_.space;
    for (int n = 1; n <= space.max_select && space.count(n) > 0; ++n) {  // a model has so many layers
      levels_.emplace_back(options_, measure_);
      look_at_placements(n);
      levels_.back().alter();
    }
    std::vector<SearchLevel> found;
    for (Level& level : levels_) {
      const auto n = static_cast<int>(found.size()) + 1;
      found.push_back(std::move(level).result(n, looks_at_all(n)));
    }
    return found;
  }

 private:
  bool looks_at_all(int n) const {
    if (options_.begin_with.contains(n)) return false;
    if (n == 1) return true;
    return options_.mode == SearchMode::exhaustive ||
           (options_.mode == SearchMode::automatic && options_.space.count(n) <= options_.exhaustive);
  }

  void look_at_placements(int n) {
    Level& level = levels_.back();
    std::set<MethodSettings> begin = {options_.settings.first()};
    if (n > 1) begin.insert(before(n).leader().settings);
    std::vector<Candidate> candidates;
    for (const MethodSettings& settings : begin) {
      for (Candidate& candidate : placements_to_look_at(n, settings))
        candidates.push_back(std::move(candidate));
    }
    level.race_new(std::move(candidates));
    if (looks_at_all(n) || options_.begin_with.contains(n)) return;
    options_.mode == SearchMode::greedy ? take_away(n) : move_layers(level);
  }

  std::vector<Candidate> placements_to_look_at(int n, const MethodSettings& settings) {
    std::vector<Candidate> candidates;
    if (options_.begin_with.contains(n)) {
      candidates = options_.begin_with.at(n);
    } else if (looks_at_all(n)) {
      candidates = options_.space.all(n, settings);
    } else {
      const bool greedy = options_.mode == SearchMode::greedy;
      candidates = options_.space.extended(before(n).placements(greedy ? 1 : options_.beam, settings));
    }
    if (options_.proposed.contains(n)) {
      for (const auto& select : options_.proposed.at(n)) candidates.push_back({select, settings});
    }
    return candidates;
  }

  void move_layers(Level& level) const {
    for (int round = 0; round < options_.alterations; ++round) {
      if (!level.race_new(options_.space.moved(level.best(options_.beam)))) return;
    }
  }

  /// Down from level n as long as a layer less gives a better placement than was known; then up again.
  void take_away(int n) {
    int lowest = n;
    while (lowest > 1 && before(lowest).race_new(options_.space.shortened(at(lowest).best(1)))) --lowest;
    for (int up = lowest + 1; up <= n; ++up) at(up).race_new(options_.space.extended(before(up).best(1)));
  }

  Level& at(int n) { return levels_[static_cast<std::size_t>(n - 1)]; }
  Level& before(int n) { return at(n - 1); }

  const SearchOptions& options_;
  const Measure& measure_;
  std::vector<Level> levels_;  // by number of selection layers, from 1
};

}  // namespace

std::vector<Candidate> leaders(const std::vector<Standing>& standings, int count) {
  std::vector<Candidate> best;
  for (const Standing& standing : standings) {
    if (std::ssize(best) == count) break;
    best.push_back(standing.candidate);
  }
  return best;
}

std::vector<SearchLevel> search_placements(const SearchOptions& options, const Measure& measure) {
  return Search(options, measure).run();
}

}  // namespace tide
