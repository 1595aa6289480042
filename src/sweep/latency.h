#pragma once
// Decode latency of each policy at batch 1, measured apart from accuracy.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "decode/decoder.h"
#include "sweep/plan.h"

namespace tide {

/// One policy at one length. Milliseconds a token.
struct LatencyMeasure {
  std::string policy, placement, budget, map;
  std::int64_t length = 0;  ///< prompt tokens
  std::int64_t kv_len = 0;  ///< at the middle timed step
  std::int64_t batch = 1;
  double median_ms = 0, low_ms = 0, high_ms = 0;  ///< quartiles
  std::int64_t steps = 0;                         ///< timed
};

/// The value below which `share` of the sorted values lie, linear between neighbours.
double quantile(const std::vector<double>& sorted, double share);

/// Decodes running text of each of the config's latency lengths: in every round each policy takes one
/// step, in an order that turns from round to round, so that no policy has the machine's quiet minute to
/// itself. The first round is not timed. Stops early, with nothing, when `interrupted`.
std::vector<LatencyMeasure> measure_latency(Decoder& decoder, const SweepPlan& plan,
                                            const std::function<bool()>& interrupted,
                                            const std::function<void(std::int64_t, std::int64_t)>& progress);

/// Writes latency.csv: policy, placement, budget, map, length, kv_len, batch, median_ms, low_ms, high_ms,
/// steps.
void write_latency(const std::filesystem::path& path, const std::vector<LatencyMeasure>& measures);

}  // namespace tide
