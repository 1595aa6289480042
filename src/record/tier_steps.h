#pragma once
// What the slower tier of an offloaded sequence was asked (decode/tier_counts.h), step by step, and the
// datasets that hold it.

#include <array>
#include <cstdint>
#include <vector>

namespace tide {

/// Of each step alone: [steps]. A correction pass after a step counts in the next one.
struct TierSteps {
  std::vector<std::int64_t> bytes, wanted, held, predicted, missed, fetched;
  std::vector<float> stall_ms;
};

namespace record {

/// One of the counts as a dataset, int64 [steps].
struct TierDataset {
  const char* path;
  const char* units;
  const char* description;
  std::vector<std::int64_t> TierSteps::*values;
};

inline constexpr std::array<TierDataset, 6> kTierDatasets = {{
    {"/steps/tier_bytes", "byte", "bytes asked of the slower tier", &TierSteps::bytes},
    {"/steps/tier_wanted", "block", "blocks of the prompt that gather attention read, each once a layer",
     &TierSteps::wanted},
    {"/steps/tier_held", "block", "of these, in the fast tier from an earlier step", &TierSteps::held},
    {"/steps/tier_predicted", "block", "of these, brought by the prediction: its hits",
     &TierSteps::predicted},
    {"/steps/tier_missed", "block", "of these, asked for only when they were needed: the prediction's misses",
     &TierSteps::missed},
    {"/steps/tier_fetched", "block", "blocks that the prediction brought, used or not", &TierSteps::fetched},
}};

/// float32 [steps].
inline constexpr const char* kTierStall = "/steps/tier_stall_ms";

}  // namespace record
}  // namespace tide
