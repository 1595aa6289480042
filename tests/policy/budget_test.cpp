#include "policy/budget.h"

#include <gmock/gmock.h>

#include "policy/spec.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

Budget budget(const std::string& text, int forced = 0) {
  PolicySpec spec("x:budget=" + text);
  return Budget(spec, "64", tiny_config(), forced);
}

TEST(Budget, IsClampedToWhatThereIs) {
  EXPECT_EQ(budget("64").at(1000), 64);
  EXPECT_EQ(budget("64").at(64), 64);
  EXPECT_EQ(budget("64").at(10), 10);
}

TEST(Budget, InPercentIsAShareOfKvLenAndAtLeastOne) {
  EXPECT_EQ(budget("10%").at(1000), 100);
  EXPECT_EQ(budget("10%").at(1009), 100);
  EXPECT_EQ(budget("12.5%").at(80), 10);
  EXPECT_EQ(budget("1%").at(10), 1);
  EXPECT_EQ(budget("100%").at(77), 77);
}

TEST(Budget, InPercentIsNotOffByOneThroughRounding) {
  // 0.07 * 100 is 7.000000000000001 in double and 0.29 * 100 is 28.999999999999996.
  for (int percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(budget(std::to_string(percent) + "%").at(100), percent);
  }
}

TEST(Budget, MustHoldTheForcedPositionsAndOneMore) {
  EXPECT_EQ(budget("6", 5).at(100), 6);
  expect_input_error([] { budget("5", 5); },
                     "policy x: budget is 5, expected at least 6 (sinks + recent + 1)");
  expect_input_error([] { policy_of("tidal:budget=20,sinks=4,recent=16"); }, "expected at least 21");
  expect_input_error([] { policy_of("window:budget=4"); }, "expected at least 5");
  expect_input_error([] { budget("0"); }, "expected at least 1");
  expect_input_error([] { budget("-3"); }, "expected at least 1");
}

TEST(Budget, MayNotExceedTheModelsPositions) {
  EXPECT_EQ(budget("512").at(10000), 512);
  expect_input_error([] { budget("513"); }, "policy x: budget is 513, the model has 512 positions");
}

TEST(Budget, RefusesWhatIsNoNumber) {
  expect_input_error([] { budget("many"); }, "budget: expected a whole number, got 'many'");
  expect_input_error([] { budget("6.5"); }, "budget: expected a whole number");
  expect_input_error([] { budget("%"); }, "budget: expected a finite number");
  expect_input_error([] { budget("0%"); }, "expected above 0%");
  expect_input_error([] { budget("101%"); }, "at most 100%");
  expect_input_error([] { budget("nan%"); }, "budget");
}

TEST(Budget, InPercentKeepsTheSinksWhenItIsLessThanWhatIsForced) {
  Decoder decoder(tiny_model(DType::f32), {.n_threads = 1});
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(50, 1)),
         policy_of("tidal:budget=10%,sinks=4,recent=16,select=2"), 1, &observer);
  for (const SeenLayer& seen : observer.layers) {
    if (seen.read) {
      EXPECT_THAT(seen.positions_of(0), ::testing::ElementsAre(0, 1, 2, 3, 49));
    }
  }
}

}  // namespace
}  // namespace tide::testing
