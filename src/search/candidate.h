#pragma once
// A placement that the search looks at.

#include <compare>
#include <string>
#include <vector>

namespace tide {

/// Selection layers of a method whose chosen sets serve the layers behind them, ascending. Layers before the
/// first read everything.
struct Candidate {
  std::vector<int> select;

  auto operator<=>(const Candidate&) const = default;
  /// "2+14".
  std::string text() const;
};

/// Which placements there are.
struct CandidateSpace {
  int n_layers = 0;
  int first = 2;       ///< no selection layer before this one
  int max_select = 2;  ///< selection layers at most
  /// Whether the first selection layer must be `first`: dense layers cost what selection layers do.
  bool fixed_first = true;

  /// Every placement with so many selection layers.
  std::vector<Candidate> all(int n_select) const;
  /// How many those are.
  std::int64_t count(int n_select) const;
  /// Each placement of `from` with one layer more, and with one layer moved; once each, without `from`.
  std::vector<Candidate> extended(const std::vector<Candidate>& from) const;
  std::vector<Candidate> moved(const std::vector<Candidate>& from) const;
};

}  // namespace tide
