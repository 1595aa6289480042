// oracle reads the most attention mass that any set of its size can hold.

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

/// Full-attention mass of a head's set, and of the best set of the same size.
struct Mass {
  double of_set = 0, best = 0;
};

Mass mass_of(const SeenLayer& seen, int head) {
  const float* prob = seen.shadow_prob.data() + head * seen.shadow_stride;
  Mass mass;
  const std::vector<std::int32_t> positions = seen.positions_of(head);
  for (const std::int32_t p : positions) mass.of_set += prob[p];
  std::vector<float> sorted(prob, prob + seen.kv_len);
  std::sort(sorted.rbegin(), sorted.rend());
  mass.best =
      std::accumulate(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(positions.size()), 0.0);
  return mass;
}

std::vector<SeenLayer> run(const std::string& spec) {
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 2});
  KeepingObserver observer(KeepingObserver::everything());
  decode(decoder, decoder.prefill(random_ids(90, 2)), policy_of(spec), 5, &observer);
  return observer.layers;
}

TEST(Oracle, HoldsTheBestMassOfItsSize) {
  for (const SeenLayer& seen : run("oracle:budget=9")) {
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      const Mass mass = mass_of(seen, head);
      EXPECT_NEAR(mass.of_set, mass.best, 1e-5);
    }
  }
}

TEST(Oracle, IsNeverBeatenAtTheSameSize) {
  for (const char* spec : {"tidal:budget=9,select=1+3", "random:budget=9", "window:budget=9",
                           "tidal:budget=9,select=2,sharing=group"}) {
    double of_set = 0, best = 0;
    for (const SeenLayer& seen : run(spec)) {
      if (!seen.read) continue;
      for (int head = 0; head < tiny_config().n_heads; ++head) {
        const Mass mass = mass_of(seen, head);
        EXPECT_LE(mass.of_set, mass.best + 1e-5) << spec;
        of_set += mass.of_set;
        best += mass.best;
      }
    }
    EXPECT_LT(of_set, 0.99 * best) << spec << ": the comparison has nothing to tell";
  }
}

TEST(Oracle, SharedSetsHoldTheBestSummedMass) {
  for (const char* sharing : {"group", "all"}) {
    for (const SeenLayer& seen : run(std::string("oracle:budget=9,sharing=") + sharing)) {
      if (!seen.read) continue;
      for (int set = 0; set < seen.read->n_sets; ++set) {
        std::vector<double> sum(static_cast<std::size_t>(seen.kv_len), 0.0);
        std::vector<std::int32_t> positions;
        for (int head = 0; head < tiny_config().n_heads; ++head) {
          if (seen.read->set_of_head[static_cast<std::size_t>(head)] != set) continue;
          positions = seen.positions_of(head);
          for (std::size_t p = 0; p < sum.size(); ++p)
            sum[p] += seen.shadow_prob[static_cast<std::size_t>(head * seen.shadow_stride) + p];
        }
        double of_set = 0;
        for (const std::int32_t p : positions) of_set += sum[static_cast<std::size_t>(p)];
        std::sort(sum.rbegin(), sum.rend());
        EXPECT_NEAR(of_set, std::accumulate(sum.begin(), sum.begin() + 9, 0.0), 1e-4) << sharing;
      }
    }
  }
}

TEST(Oracle, ForcedPositionsAreInsideTheBudget) {
  for (const SeenLayer& seen : run("oracle:budget=9,sinks=3,recent=4")) {
    if (!seen.read) continue;
    const auto last = static_cast<std::int32_t>(seen.kv_len - 1);
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      const auto positions = seen.positions_of(head);
      ASSERT_EQ(positions.size(), 9u);
      EXPECT_THAT(std::vector<std::int32_t>(positions.begin(), positions.begin() + 7),
                  ::testing::ElementsAre(0, 1, 2, last - 3, last - 2, last - 1, last));
    }
  }
}

}  // namespace
}  // namespace tide::testing
