// Methods whose choices serve later layers: their specs, and what an anchor's choosing costs. What they
// choose is compared with NumPy in tests/oracle/test_policies.py.

#include <gmock/gmock.h>

#include "base/error.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::HasSubstr;

std::string refusal(const std::string& spec) {
  try {
    policy_of(spec);
  } catch (const InputError& error) {
    return error.what();
  }
  return "taken";
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
  EXPECT_THAT(refusal("tidal:placement=FE.E."), HasSubstr("has the letter 'E', expected one of 'FS.'"));
  EXPECT_THAT(refusal("kascade:placement=F.E.."), HasSubstr("layer 1 is sparse before any selection layer"));
}

TEST(Reuse, RefusesWhatMakesNoSense) {
  EXPECT_THAT(refusal("kascade:budget=papers"), HasSubstr("budget"));
  EXPECT_THAT(refusal("tidal:budget=paper"), HasSubstr("budget"));
  EXPECT_THAT(refusal("lessismore:sinks=few"), HasSubstr("lessismore: sinks"));
  EXPECT_THAT(refusal("lessismore:budget=8,sinks=6,recent=4"), HasSubstr("expected at least 11"));
  EXPECT_THAT(refusal("omnikv:sinks=2"), HasSubstr("key 'sinks' is unknown"));
  EXPECT_THAT(refusal("omnikv:map=@headmap.json"), HasSubstr("headmap.json"));
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
