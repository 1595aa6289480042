#pragma once
// Which of many candidates are best, with few samples spent on poor ones: all run on a block of samples,
// those that fall behind are dropped, the others run on the next block.

#include <functional>
#include <span>
#include <vector>

#include "search/candidate.h"

namespace tide {

/// What is known of a candidate.
struct Standing {
  Candidate candidate;
  std::vector<double> worth = {};  ///< by sample, from the first on
  // Means over the samples.
  double rows_read = 0;       ///< per KV head, layer and step
  double answer_logprob = 0;  ///< nats a token
  double agree = 0;           ///< share of the answer's tokens that are full attention's most likely ones

  double mean() const;  ///< of the worth
};

/// Measures candidates on samples [begin, end): for each of them one worth a sample, and the means.
using Measure =
    std::function<std::vector<Standing>(std::span<const Candidate>, std::int64_t begin, std::int64_t end)>;

struct RaceOptions {
  std::vector<std::int64_t> blocks;  ///< ends of the blocks of samples, rising
  double keep = 0.25;                ///< share of the candidates that goes on to the next block
  int keep_least = 8;                ///< and how many at least
  /// A candidate behind the leader by more than this many standard errors of their paired difference goes
  /// too.
  double behind = 3;
};

/// More samples first, then the higher mean, then the smaller candidate.
bool stands_before(const Standing& a, const Standing& b);

/// The candidates that ran on every block, best first, then those dropped, the later the earlier. Ties: the
/// smaller placement. Nothing is chosen by a sample beyond the last block.
std::vector<Standing> race(std::vector<Candidate> candidates, const Measure& measure,
                           const RaceOptions& options);

}  // namespace tide
