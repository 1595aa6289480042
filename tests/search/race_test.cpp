// Races and searches over a made-up worth, whose best placement is known.

#include "search/race.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <set>

#include "search/placement_search.h"

namespace tide::testing {
namespace {

/// Layers are worth what is told; samples differ by noise that repeats.
struct MadeUp {
  std::vector<double> worth_of_layer;
  double noise = 0.1;
  std::int64_t measured = 0;  ///< candidates x samples
  std::int64_t last_sample = 0;

  std::function<double(const MethodSettings&)> worth_of_settings = {};
  std::function<double(const Candidate&)> worth = {};  ///< in place of the layers' and settings'

  double mean(const Candidate& candidate) const {
    if (worth) return worth(candidate);
    double sum = worth_of_settings ? worth_of_settings(candidate.settings) : 0;
    for (const int layer : candidate.select) sum += worth_of_layer[static_cast<std::size_t>(layer)];
    return sum;
  }
  double worth_at(const Candidate& candidate, std::int64_t sample) const {
    // A sample is easy or hard for all, and a little different for each.
    const double own = std::sin(static_cast<double>(sample * 31 + candidate.select.back() * 7));
    return mean(candidate) + 3 * std::cos(static_cast<double>(sample)) + noise * own;
  }
  Measure measure() {
    return [this](std::span<const Candidate> candidates, std::int64_t begin, std::int64_t end) {
      std::vector<Standing> standings;
      for (const Candidate& candidate : candidates) {
        Standing standing{candidate};
        standing.rows_read = 100.0 * static_cast<double>(candidate.select.size());
        for (std::int64_t sample = begin; sample < end; ++sample)
          standing.worth.push_back(worth_at(candidate, sample));
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

/// A worth of settings, in which two go together: what one is best at depends on the other.
MadeUp with_settings(std::vector<double> worth_of_layer) {
  MadeUp made_up{std::move(worth_of_layer)};
  made_up.worth_of_settings = [](const MethodSettings& settings) {
    const int sinks = std::stoi(settings.at("sinks")), recent = std::stoi(settings.at("recent"));
    return settings.at("map") == "none" ? -50.0 : -std::abs(recent - 8.0) - std::abs(sinks + recent - 10.0);
  };
  return made_up;
}

const SettingSpace kSettings{
    .axes = {{"map", {"none", "text"}}, {"recent", {"0", "4", "8", "16"}}, {"sinks", {"4", "2", "0"}}}};

TEST(Search, FindsTheBestSettingsWithoutTheWholeProduct) {
  MadeUp made_up = with_settings(hills());
  const SearchOptions options{.space = {30, 2, 2, false}, .settings = kSettings, .race = {.blocks = {4, 12}}};
  const auto levels = search_placements(options, made_up.measure());
  for (const SearchLevel& level : levels) {
    EXPECT_TRUE(level.exhaustive);
    const Candidate& found = level.standings.front().candidate;
    EXPECT_EQ(found.settings, (MethodSettings{{"map", "text"}, {"recent", "8"}, {"sinks", "2"}}));
    for (const Candidate& other : options.space.all(level.n_select, found.settings))
      EXPECT_GE(made_up.mean(found), made_up.mean(other));
  }
  EXPECT_LT(made_up.measured, (28 + 378) * kSettings.count() * 4 / 3);
}

TEST(Search, PlacesAnewUnderOtherSettings) {
  // Without a map layer 5 is best and 20 worst; with one layer 20 is, and that is better.
  MadeUp made_up{std::vector<double>(30, 0.0)};
  made_up.worth = [](const Candidate& candidate) {
    const bool mapped = candidate.settings.at("map") == "text";
    const int layer = candidate.select.back();
    return mapped ? (layer == 20 ? 2.5 : 1.5) : layer == 5 ? 1.0 : layer == 20 ? -1.0 : 0.0;
  };
  const SearchOptions options{.space = {30, 2, 1, false}, .settings = kSettings, .race = {.blocks = {4, 8}}};
  const auto levels = search_placements(options, made_up.measure());
  EXPECT_EQ(levels.front().standings.front().candidate.select, std::vector{20});
  EXPECT_EQ(levels.front().standings.front().candidate.settings.at("map"), "text");
  // The first leader, which fell behind when it ran again beside better ones, is known by all its samples.
  const Candidate first{{5}, kSettings.first()};
  const auto& standings = levels.front().standings;
  const auto found = std::find_if(standings.begin(), standings.end(),
                                  [&](const Standing& one) { return one.candidate == first; });
  ASSERT_NE(found, standings.end());
  EXPECT_EQ(found->worth.size(), 8u);
}

TEST(Search, GreedyTakesBackALayerThatAnotherMadeUseless) {
  // Alone, layer 9 is best; 4 and 20 together are better than any two with 9.
  MadeUp made_up{std::vector<double>(30, 0.0)};
  made_up.worth = [](const Candidate& candidate) {
    const auto has = [&](int layer) {
      return std::find(candidate.select.begin(), candidate.select.end(), layer) != candidate.select.end();
    };
    return (has(9) ? 2.0 : 0.0) + (has(4) ? 1.5 : 0.0) + (has(20) ? 1.0 : 0.0) +
           (has(4) && has(20) ? 2.0 : 0.0);
  };
  const SearchOptions options{
      .space = {30, 2, 3, false}, .race = {.blocks = {4, 8}}, .mode = SearchMode::greedy};
  const auto levels = search_placements(options, made_up.measure());
  EXPECT_EQ(levels[0].standings.front().candidate.select, std::vector{9});
  EXPECT_EQ(levels[1].standings.front().candidate.select, (std::vector{4, 20}));
  EXPECT_EQ(levels[2].standings.front().candidate.select, (std::vector{4, 9, 20}));
  EXPECT_TRUE(levels[0].exhaustive);
  EXPECT_FALSE(levels[1].exhaustive);
  EXPECT_LT(made_up.measured, options.space.count(3));
}

TEST(Search, LooksAtWhatIsProposedAndBeginsWithWhatItIsTold) {
  MadeUp made_up{std::vector<double>(30, 0.0)};
  made_up.worth = [](const Candidate& candidate) {
    return candidate.select == std::vector{2, 11, 23} ? 1.0 : 0.0;
  };
  SearchOptions options{.space = {30, 2, 3, true}, .race = {.blocks = {4, 8}}, .mode = SearchMode::beam};
  options.alterations = 0;
  EXPECT_NE(search_placements(options, made_up.measure())[2].standings.front().candidate.select,
            (std::vector{2, 11, 23}));
  options.proposed[3] = {{2, 11, 23}};
  EXPECT_EQ(search_placements(options, made_up.measure())[2].standings.front().candidate.select,
            (std::vector{2, 11, 23}));
  options.proposed.clear();
  options.begin_with = {{1, {{{2}}}}, {2, {{{2, 11}}}}, {3, {{{2, 11, 23}}, {{2, 3, 4}}}}};
  made_up.measured = 0;
  const auto levels = search_placements(options, made_up.measure());
  EXPECT_EQ(levels[2].standings.front().candidate.select, (std::vector{2, 11, 23}));
  EXPECT_FALSE(levels[0].exhaustive);
  EXPECT_EQ(made_up.measured, 8 + 8 + 8 + 4) << "the last one fell behind";
}

TEST(Search, KeepsWhatItKnewOfACandidateThatRunsAgain) {
  MadeUp made_up = with_settings(hills());
  const SearchOptions options{.space = {30, 2, 2, true}, .settings = kSettings, .race = {.blocks = {4, 12}}};
  for (const SearchLevel& level : search_placements(options, made_up.measure())) {
    std::set<Candidate> once;
    for (const Standing& standing : level.standings) {
      EXPECT_TRUE(once.insert(standing.candidate).second) << standing.candidate.text();
      EXPECT_TRUE(standing.worth.size() == 4 || standing.worth.size() == 12);
      for (std::size_t i = 0; i < standing.worth.size(); ++i)
        EXPECT_DOUBLE_EQ(standing.worth[i],
                         made_up.worth_at(standing.candidate, static_cast<std::int64_t>(i)));
    }
    EXPECT_TRUE(std::is_sorted(level.standings.begin(), level.standings.end(), stands_before));
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
