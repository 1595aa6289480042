#include <gmock/gmock.h>

#include <set>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr std::int64_t kPromptLen = 60;

std::vector<SeenLayer> run(const std::string& spec, std::uint64_t seed, std::int64_t steps = 4) {
  static Decoder decoder(tiny_model(DType::f32), {.n_threads = 2});
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(kPromptLen, 2)), policy_of(spec), steps, &observer, {}, seed);
  return observer.layers;
}

std::vector<std::vector<std::int32_t>> positions(const std::vector<SeenLayer>& layers) {
  std::vector<std::vector<std::int32_t>> all;
  for (const SeenLayer& seen : layers) {
    if (seen.read) all.push_back(seen.read->position);
  }
  return all;
}

TEST(Random, RepeatsWithItsSeed) {
  EXPECT_EQ(positions(run("random:budget=9", 5)), positions(run("random:budget=9", 5)));
  EXPECT_NE(positions(run("random:budget=9", 5)), positions(run("random:budget=9", 6)));
}

TEST(Random, DrawsAnewForEveryStepLayerAndSet) {
  std::set<std::vector<std::int32_t>> distinct;
  int sets = 0;
  for (const SeenLayer& seen : run("random:budget=9", 5)) {
    for (int head = 0; seen.read && head < tiny_config().n_heads; ++head, ++sets)
      distinct.insert(seen.positions_of(head));
  }
  EXPECT_EQ(distinct.size(), static_cast<std::size_t>(sets));
}

TEST(Random, DrawsDistinctPositionsThatExist) {
  for (const SeenLayer& seen : run("random:budget=9,sinks=2,recent=3", 5)) {
    for (int head = 0; seen.read && head < tiny_config().n_heads; ++head) {
      const auto drawn = seen.positions_of(head);
      const auto last = static_cast<std::int32_t>(seen.kv_len - 1);
      EXPECT_EQ(std::set<std::int32_t>(drawn.begin(), drawn.end()).size(), 9u);
      EXPECT_THAT(drawn, ::testing::Each(::testing::AllOf(::testing::Ge(0), ::testing::Le(last))));
      EXPECT_THAT(std::vector<std::int32_t>(drawn.begin(), drawn.begin() + 5),
                  ::testing::ElementsAre(0, 1, last - 2, last - 1, last));
    }
  }
}

TEST(Random, DrawsEveryPositionEquallyOften) {
  std::vector<double> drawn(static_cast<std::size_t>(kPromptLen), 0.0);
  double draws = 0;
  for (const SeenLayer& seen : run("random:budget=15,full=none", 5, 100)) {
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      for (const std::int32_t p : seen.positions_of(head)) {
        if (p < kPromptLen) drawn[static_cast<std::size_t>(p)] += 1;
      }
      draws += 15.0 / static_cast<double>(seen.kv_len);
    }
  }
  // About 400 draws of each position, with a deviation of 20.
  EXPECT_THAT(drawn, ::testing::Each(::testing::DoubleNear(draws, 0.25 * draws)));
}

}  // namespace
}  // namespace tide::testing
