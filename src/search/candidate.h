#pragma once
// What the search looks at: a placement with the method's settings.

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tide {

/// Values of a method's settings by name, as a policy spec has them: {"recent", "4"}.
using MethodSettings = std::map<std::string, std::string>;

/// Selection layers of a method whose chosen sets serve the layers behind them, ascending; layers before the
/// first read everything. And what the method is set to beside.
struct Candidate {
  std::vector<int> select;
  MethodSettings settings = {};

  auto operator<=>(const Candidate&) const = default;
  std::string layers() const;  ///< "2+14", as a policy spec has it
  std::string text() const;    ///< "2+14 map=text-64 recent=4"
};

/// Which placements there are.
struct CandidateSpace {
  int n_layers = 0;
  int first = 2;       ///< no selection layer before this one
  int max_select = 2;  ///< selection layers at most
  /// Whether the first selection layer must be `first`: dense layers cost what selection layers do.
  bool fixed_first = true;

  /// Every placement with so many selection layers, with these settings.
  std::vector<Candidate> all(int n_select, const MethodSettings& settings = {}) const;
  /// How many those are.
  std::int64_t count(int n_select) const;
  /// Each candidate of `from` with one layer more, with one layer less, and with one layer moved; once each,
  /// without `from`. Settings stay.
  std::vector<Candidate> extended(const std::vector<Candidate>& from) const;
  std::vector<Candidate> shortened(const std::vector<Candidate>& from) const;
  std::vector<Candidate> moved(const std::vector<Candidate>& from) const;
};

}  // namespace tide
