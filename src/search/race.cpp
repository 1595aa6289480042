#include "search/race.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace tide {

namespace {

/// Whether `other` is behind the leader by more than chance explains.
bool is_behind(const Standing& leader, const Standing& other, double errors) {
  const auto n = static_cast<double>(leader.worth.size());
  if (n < 4) return false;
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < leader.worth.size(); ++i) {
    const double ahead = leader.worth[i] - other.worth[i];
    sum += ahead;
    squares += ahead * ahead;
  }
  const double mean = sum / n, variance = std::max(0.0, squares / n - mean * mean) * n / (n - 1);
  return mean > errors * std::sqrt(variance / n);
}

void add_block(Standing& standing, const Standing& block, std::int64_t before) {
  const auto was = static_cast<double>(before), is = static_cast<double>(block.worth.size());
  const auto unite = [&](double& mean, double more) { mean = (mean * was + more * is) / (was + is); };
  unite(standing.rows_read, block.rows_read);
  unite(standing.answer_logprob, block.answer_logprob);
  unite(standing.agree, block.agree);
  standing.worth.insert(standing.worth.end(), block.worth.begin(), block.worth.end());
}

}  // namespace

double Standing::mean() const {
  return std::accumulate(worth.begin(), worth.end(), 0.0) / static_cast<double>(worth.size());
}

bool stands_before(const Standing& a, const Standing& b) {
  return std::tuple(-static_cast<std::int64_t>(a.worth.size()), -a.mean(), a.candidate) <
         std::tuple(-static_cast<std::int64_t>(b.worth.size()), -b.mean(), b.candidate);
}

std::vector<Standing> race(std::vector<Candidate> candidates, const Measure& measure,
                           const RaceOptions& options) {
  TIDE_ASSERT(!options.blocks.empty());
  std::vector<Standing> standings;
  for (Candidate& candidate : candidates) standings.push_back({std::move(candidate)});
  std::size_t running = standings.size();
  std::int64_t begin = 0;
  for (const std::int64_t end : options.blocks) {
    candidates.clear();
    for (std::size_t i = 0; i < running; ++i) candidates.push_back(standings[i].candidate);
    const std::vector<Standing> block = measure(candidates, begin, end);
    for (std::size_t i = 0; i < running; ++i) add_block(standings[i], block[i], begin);
    std::sort(standings.begin(), standings.begin() + static_cast<std::ptrdiff_t>(running), stands_before);
    begin = end;
    if (end == options.blocks.back()) break;
    const auto share = static_cast<std::size_t>(std::ceil(options.keep * static_cast<double>(running)));
    const auto most = std::min(running, std::max(share, static_cast<std::size_t>(options.keep_least)));
    std::size_t kept = 1;
    while (kept < most && !is_behind(standings.front(), standings[kept], options.behind)) ++kept;
    running = kept;
  }
  return standings;
}

}  // namespace tide
