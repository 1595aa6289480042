// The counts of an offloaded sequence: datasets that only its recording has.

#include "record/dataset.h"
#include "record/recording_file.h"

namespace tide::record {

void RecordingFile::create_tier() {
  const auto make = [&](const char* path, hid_t type, const char* units, const char* description) {
    const Axis steps{"step", step_axis_.get(), true};
    tier_.push_back(
        make_dataset(file_.get(), {path, type, {0}, {row_chunk()}, {steps}, units, description}, part_));
  };
  for (const TierDataset& dataset : kTierDatasets) {
    make(dataset.path, H5T_STD_I64LE, dataset.units, dataset.description);
  }
  make(kTierStall, H5T_IEEE_F32LE, "ms", "time in which the step waited for the slower tier");
}

void RecordingFile::append_tier(const StepBlock& block) {
  const std::int64_t first = block.first_step, n = block.n_steps;
  for (std::size_t i = 0; i < kTierDatasets.size(); ++i) {
    const std::vector<std::int64_t>& values = block.tier.*kTierDatasets[i].values;
    append_rows(tier_[i].get(), first, n, H5T_NATIVE_INT64, values.data(), part_);
  }
  append_rows(tier_.back().get(), first, n, H5T_NATIVE_FLOAT, block.tier.stall_ms.data(), part_);
}

}  // namespace tide::record
