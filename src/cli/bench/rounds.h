#pragma once
// Interleaved rounds: every contender in turn, again and again, so that what disturbs the machine
// disturbs all of them, and a ratio is taken between neighbours in time.

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cli/bench/bandwidth.h"

namespace tide::cli {

/// What one round of one contender gave.
struct Timing {
  double ms = 0;     ///< of one unit of work: a step, a prompt, a call
  double bytes = 0;  ///< that one unit must read, derived from sizes; 0: not told
};

/// One thing that is timed.
struct Contender {
  std::string name;
  std::function<Timing()> run;  ///< one round
};

/// What the rounds of one contender gave.
struct Figures {
  std::string name;
  std::vector<double> ms;  ///< [rounds]
  double bytes = 0;
};

struct Rounds {
  std::vector<Figures> figures;       ///< one a contender, in their order
  std::vector<double> read_gb_per_s;  ///< [rounds + 1]: the machine's, before each round and after the last
  double steal_share = 0;             ///< of the processors' time, taken by the host meanwhile
  double load_before = 0;             ///< load average over a minute when the rounds began

  const Figures& operator[](std::size_t contender) const { return figures[contender]; }
  /// False when an interrupt came before the first round's end: there is nothing to tell.
  bool any() const { return !figures.empty() && !figures.front().ms.empty(); }
};

/// Runs `n_rounds` rounds, every other one in reverse order. An interrupt ends them after the
/// contender in flight; a round that is not complete is left out.
Rounds run_rounds(std::span<const Contender> contenders, std::int64_t n_rounds, ReadBandwidth& memory);

/// {"median", "min", "max"} of at least one value.
nlohmann::json spread(std::span<const double> values);

/// The row of one contender: median_ms, min_ms, max_ms, rounds_ms, and where bytes are known
/// gb_per_s_derived and share_of_read_bandwidth_derived (each round against the bandwidth beside it).
nlohmann::json row_of(const Figures& figures, const Rounds& rounds);

/// Units a second of each round, where one unit's time is `units` of the figure's: spread.
nlohmann::json rate_of(const Figures& figures, double units);

/// Spread of time over time, round by round, with "to": the name of `to`.
nlohmann::json quotient(const Figures& of, const Figures& to);

/// Adds {"to", "median", "min", "max"} to row["ratios"]: time of `of` over time of `to`, round by round.
void add_ratio(nlohmann::json& row, const Figures& of, const Figures& to);

/// The same to row["speedups"]: time of `to` over time of `of`.
void add_speedup(nlohmann::json& row, const Figures& of, const Figures& to);

}  // namespace tide::cli
