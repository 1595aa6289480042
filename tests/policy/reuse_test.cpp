// Methods whose choices serve later layers: their specs, and what an anchor's choosing costs. What they
// choose is compared with NumPy in tests/oracle/test_policies.py.

#include <gmock/gmock.h>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::HasSubstr;

void expect_refused(const std::string& spec, const std::string& part) {
  expect_input_error([&] { policy_of(spec); }, part);
}

TEST(Reuse, WritesItsDefaultsOut) {
  EXPECT_THAT(policy_of("kascade")->canonical(), HasSubstr("budget=paper,map=none,placement=S"));
  EXPECT_THAT(policy_of("lessismore:budget=16")->canonical(),
              HasSubstr("recent=paper,sharing=all,sinks=paper"));
  EXPECT_EQ(policy_of("omnikv:budget=16")->sharing(), "all");
  EXPECT_EQ(policy_of("kascade")->budget(), "paper");
}

TEST(Reuse, TakesAnyPlacementOfItsLetters) {
  EXPECT_EQ(placement_letters(policy_of("kascade:placement=FE.E.")->placement()), "FE.E.");
  EXPECT_EQ(placement_letters(policy_of("omnikv:select=1+3")->placement()), "FSFSF");
  expect_refused("tidal:placement=FE.E.", "has the letter 'E', expected one of 'FS.'");
  expect_refused("kascade:placement=F.E..", "layer 1 is sparse before any selection layer");
}

TEST(Reuse, RefusesWhatMakesNoSense) {
  expect_refused("kascade:budget=papers", "budget");
  expect_refused("tidal:budget=paper", "budget");
  expect_refused("lessismore:sinks=few", "lessismore: sinks");
  expect_refused("lessismore:budget=8,sinks=6,recent=4", "expected at least 11");
  expect_refused("omnikv:sinks=2", "key 'sinks' is unknown");
  expect_refused("omnikv:map=@headmap.json", "headmap.json");
}

TEST(Reuse, AnAnchorReadsEveryKeyToChoose) {
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 1});
  KeepingObserver observer(KeepingObserver::everything());
  decode(decoder, decoder.prefill(random_ids(60, 3)), policy_of("kascade:budget=8,placement=SE.E."), 2,
         &observer);
  const ModelConfig& config = tiny_config();
  for (const SeenLayer& seen : observer.layers) {
    std::int64_t rows = 0;
    for (const std::int32_t count : seen.rows_read) rows += count;
    const std::int64_t row = config.head_dim * 4;
    const std::int64_t keys = seen.role == Role::estimate ? seen.kv_len * config.n_kv_heads * row : 0;
    EXPECT_EQ(seen.bytes_read, 2 * rows * row + keys) << "layer " << seen.layer;
    EXPECT_EQ(rows, (seen.role == Role::select ? seen.kv_len : 8) * config.n_kv_heads);
  }
}

}  // namespace
}  // namespace tide::testing
