// tidal end to end: what a selection layer chose against its own scores, and what later layers read.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr std::int64_t kPromptLen = 80, kSteps = 4;

struct Rule {
  std::string sharing;
  int budget, sinks, recent;
};

std::vector<SeenLayer> run(const Rule& rule, const std::string& more) {
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 2});
  KeepingObserver observer(KeepingObserver::everything());
  const std::string spec = fmt::format("tidal:budget={},sharing={},sinks={},recent={},{}", rule.budget,
                                       rule.sharing, rule.sinks, rule.recent, more);
  decode(decoder, decoder.prefill(random_ids(kPromptLen, 9)), policy_of(spec), kSteps, &observer);
  return observer.layers;
}

/// Sum of the recorded probabilities of the heads that share a set: [kv_len].
std::vector<double> pooled(const SeenLayer& seen, int set) {
  std::vector<double> sum(static_cast<std::size_t>(seen.kv_len), 0.0);
  for (int head = 0; head < tiny_config().n_heads; ++head) {
    if (seen.chosen->set_of_head[static_cast<std::size_t>(head)] != set) continue;
    for (std::size_t p = 0; p < sum.size(); ++p)
      sum[p] += seen.prob[static_cast<std::size_t>(head * seen.prob_stride) + p];
  }
  return sum;
}

class Tidal : public ::testing::TestWithParam<Rule> {};

TEST_P(Tidal, ChoosesExactlyTheTopOfItsScores) {
  const Rule rule = GetParam();
  int selections = 0;
  for (const SeenLayer& seen : run(rule, "select=1+3")) {
    if (!seen.chosen) continue;
    ++selections;
    const PositionSets& sets = *seen.chosen;
    ASSERT_EQ(sets.width, std::min<std::int64_t>(rule.budget, seen.kv_len));
    for (int set = 0; set < sets.n_sets; ++set) {
      const auto at = static_cast<std::size_t>(set * sets.width);
      const std::vector<std::int32_t> chosen(
          sets.position.begin() + static_cast<std::ptrdiff_t>(at),
          sets.position.begin() + static_cast<std::ptrdiff_t>(at) + sets.width);
      std::vector<std::int32_t> forced;
      for (int p = 0; p < rule.sinks; ++p) forced.push_back(p);
      for (std::int64_t p = seen.kv_len - rule.recent; p < seen.kv_len; ++p)
        forced.push_back(static_cast<int>(p));
      ASSERT_TRUE(std::equal(forced.begin(), forced.end(), chosen.begin()));
      // The rest by falling weight; neighbours whose weights differ by rounding alone may swap.
      const std::vector<double> weight = pooled(seen, set);
      double least = INFINITY;
      for (std::size_t i = forced.size(); i < chosen.size(); ++i) {
        const double here = weight[static_cast<std::size_t>(chosen[i])];
        ASSERT_LE(here, least * (1 + 1e-5));
        least = std::min(least, here);
        ASSERT_EQ(std::count(chosen.begin(), chosen.end(), chosen[i]), 1);
      }
      for (std::size_t p = 0; p < weight.size(); ++p) {
        if (std::count(chosen.begin(), chosen.end(), static_cast<std::int32_t>(p)) == 0) {
          ASSERT_LE(weight[p], least * (1 + 1e-5)) << "position " << p << " was left out";
        }
      }
    }
  }
  EXPECT_EQ(selections, 2 * kSteps);
}

TEST_P(Tidal, SparseLayersReadTheLastSelectionOfTheSameStep) {
  std::optional<PositionSets> stored;
  for (const SeenLayer& seen : run(GetParam(), "select=1+3")) {
    if (seen.chosen) stored = seen.chosen;
    if (!seen.read) continue;
    EXPECT_EQ(seen.read->position, stored->position);
    EXPECT_EQ(seen.read->count, stored->count);
    EXPECT_EQ(seen.read->set_of_head, stored->set_of_head);
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, Tidal,
                         ::testing::Values(Rule{"head", 12, 0, 0}, Rule{"group", 12, 0, 0},
                                           Rule{"all", 12, 0, 0}, Rule{"head", 12, 4, 5},
                                           Rule{"group", 12, 4, 5}, Rule{"all", 12, 4, 5},
                                           Rule{"head", 1, 0, 0}, Rule{"head", 500, 2, 2}),
                         [](const auto& test) {
                           return fmt::format("{}_{}_{}_{}", test.param.sharing, test.param.budget,
                                              test.param.sinks, test.param.recent);
                         });

TEST(TidalScores, OfPerHeadSetsAreScaledDotProducts) {
  for (const SeenLayer& seen : run({"head", 12, 0, 0}, "select=2")) {
    if (!seen.chosen) continue;
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      // prob = exp(score - log_sum_exp): differences of scores are log ratios of probabilities.
      const float* prob = seen.prob.data() + head * seen.prob_stride;
      const auto at = static_cast<std::size_t>(head * seen.chosen->width);
      for (std::size_t i = 1; i < 12; ++i) {
        const double ratio =
            std::log(double{prob[seen.chosen->position[at]]} / prob[seen.chosen->position[at + i]]);
        EXPECT_NEAR(seen.chosen->score[at] - seen.chosen->score[at + i], ratio, 1e-3);
      }
    }
  }
}

TEST(TidalScores, TheNewestTokenCompetesLikeAnyOther) {
  bool in = false, out = false;
  for (const SeenLayer& seen : run({"head", 12, 0, 0}, "select=1+3")) {
    for (int head = 0; seen.read && head < tiny_config().n_heads; ++head) {
      const auto positions = seen.positions_of(head);
      const bool newest = std::count(positions.begin(), positions.end(), seen.kv_len - 1) > 0;
      (newest ? in : out) = true;
    }
  }
  EXPECT_TRUE(in && out);
}

}  // namespace
}  // namespace tide::testing
