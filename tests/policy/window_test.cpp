#include <gmock/gmock.h>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

std::vector<SeenLayer> run(const std::string& spec, std::int64_t prompt_len, std::int64_t steps) {
  Decoder decoder(tiny_model(DType::f32), {.n_threads = 2});
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(prompt_len, 2)), policy_of(spec), steps, &observer);
  return observer.layers;
}

TEST(Window, ReadsTheFirstFourAndTheLastOfItsBudgetAtEveryLayer) {
  for (const SeenLayer& seen : run("window:budget=9", 40, 3)) {
    const auto n = static_cast<std::int32_t>(seen.kv_len);
    for (int head = 0; head < tiny_config().n_heads; ++head) {
      EXPECT_THAT(seen.positions_of(head),
                  ::testing::ElementsAre(0, 1, 2, 3, n - 5, n - 4, n - 3, n - 2, n - 1));
    }
    EXPECT_EQ(seen.role, Role::keep);
    EXPECT_THAT(seen.rows_read, ::testing::Each(9));
  }
}

TEST(Window, TakesItsSinks) {
  for (const SeenLayer& seen : run("window:budget=3,sinks=1", 40, 1)) {
    EXPECT_THAT(seen.positions_of(5), ::testing::ElementsAre(0, 38, 39));
  }
}

TEST(Window, ReadsEverythingWhileItFits) {
  for (const SeenLayer& seen : run("window:budget=9", 3, 8)) {
    const auto positions = seen.positions_of(0);
    EXPECT_EQ(positions.size(), static_cast<std::size_t>(std::min<std::int64_t>(seen.kv_len, 9)));
    EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
    EXPECT_EQ(positions.back(), seen.kv_len - 1);
  }
}

TEST(Window, LeavesFullLayersAlone) {
  for (const SeenLayer& seen : run("window:budget=9,full=0+2", 40, 2)) {
    EXPECT_EQ(seen.read.has_value(), seen.layer != 0 && seen.layer != 2);
  }
}

}  // namespace
}  // namespace tide::testing
