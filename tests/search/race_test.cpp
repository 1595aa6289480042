// Races and searches over a made-up worth, whose best placement is known.

#include "search/race.h"

#include <gmock/gmock.h>

#include <cmath>

#include "search/placement_search.h"

namespace tide::testing {
namespace {

/// Layers are worth what is told; samples differ by noise that repeats.
struct MadeUp {
  std::vector<double> worth_of_layer;
  double noise = 0.1;
  std::int64_t measured = 0;  ///< candidates x samples
  std::int64_t last_sample = 0;

  double mean(const Candidate& candidate) const {
    double sum = 0;
    for (const int layer : candidate.select) sum += worth_of_layer[static_cast<std::size_t>(layer)];
    return sum;
  }
  Measure measure() {
    return [this](std::span<const Candidate> candidates, std::int64_t begin, std::int64_t end) {
      std::vector<Standing> standings;
      for (const Candidate& candidate : candidates) {
        Standing standing{candidate, {}, 100.0 * static_cast<double>(candidate.select.size())};
        for (std::int64_t sample = begin; sample < end; ++sample) {
          // A sample is easy or hard for all, and a little different for each.
          const double own = std::sin(static_cast<double>(sample * 31 + candidate.select.back() * 7));
          standing.worth.push_back(mean(candidate) + 3 * std::cos(static_cast<double>(sample)) + noise * own);
        }
        measured += end - begin;
        last_sample = std::max(last_sample, end);
        standings.push_back(std::move(standing));
      }
      return standings;
    };
  }
};

std::vector<double> hills() {
  std::vector<double> worth;
  for (int layer = 0; layer < 30; ++layer) worth.push_back(std::sin(layer * 0.9) + 0.05 * layer);
  return worth;
}

TEST(Race, TheBestWinsWithFewSamplesSpentOnTheOthers) {
  MadeUp made_up{hills()};
  const auto all = CandidateSpace{30, 2, 2, false}.all(2);
  const auto standings = race(all, made_up.measure(), {.blocks = {4, 10, 20}});
  const auto best = *std::max_element(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
    return made_up.mean(a) < made_up.mean(b);
  });
  ASSERT_EQ(standings.size(), all.size());
  EXPECT_EQ(standings.front().candidate, best);
  EXPECT_EQ(standings.front().worth.size(), 20u);
  EXPECT_EQ(standings.front().rows_read, 200);
  EXPECT_EQ(standings.back().worth.size(), 4u);
  EXPECT_LT(made_up.measured, std::ssize(all) * 20 / 3);
  EXPECT_EQ(made_up.last_sample, 20);
}

TEST(Race, EqualCandidatesAllRunOn) {
  MadeUp made_up{std::vector<double>(30, 1.0), 0.5};
  const auto all = CandidateSpace{30, 2, 1, false}.all(1);
  const auto standings = race(all, made_up.measure(), {.blocks = {4, 8}, .keep = 0.5, .keep_least = 14});
  EXPECT_EQ(standings[13].worth.size(), 8u);
  EXPECT_EQ(standings[14].worth.size(), 4u);
}

TEST(Race, WhoIsBehindBeyondChanceIsDroppedEvenAmongTheFew) {
  std::vector<double> worth(30, 0.0);
  worth[7] = 50;
  MadeUp made_up{worth};
  const auto standings = race(CandidateSpace{30, 2, 1, false}.all(1), made_up.measure(), {.blocks = {4, 8}});
  EXPECT_EQ(standings[0].candidate, Candidate{{7}});
  EXPECT_EQ(standings[0].worth.size(), 8u);
  EXPECT_EQ(standings[1].worth.size(), 4u);
}

TEST(Search, FindsTheBestOfEveryLevelWhereAllAreLookedAt) {
  MadeUp made_up{hills()};
  SearchOptions options{.space = {30, 2, 2, false}, .race = {.blocks = {4, 12}}};
  const auto levels = search_placements(options, made_up.measure());
  ASSERT_EQ(levels.size(), 2u);
  for (const SearchLevel& level : levels) {
    EXPECT_TRUE(level.exhaustive);
    for (const Candidate& other : options.space.all(level.n_select))
      EXPECT_GE(made_up.mean(level.standings.front().candidate), made_up.mean(other));
  }
}

TEST(Search, ABeamFindsWhatExhaustionFinds) {
  MadeUp made_up{hills()};
  SearchOptions options{.space = {30, 2, 4, false}, .race = {.blocks = {4, 12}}, .exhaustive = 40};
  const auto levels = search_placements(options, made_up.measure());
  ASSERT_EQ(levels.size(), 4u);
  EXPECT_TRUE(levels[0].exhaustive);
  EXPECT_FALSE(levels[3].exhaustive);
  double best = -1e9;
  for (const Candidate& other : options.space.all(4)) best = std::max(best, made_up.mean(other));
  EXPECT_EQ(made_up.mean(levels[3].standings.front().candidate), best);
  EXPECT_LT(made_up.measured, options.space.count(4));
}

}  // namespace
}  // namespace tide::testing
