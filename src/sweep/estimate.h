#pragma once
// What a sweep takes, told before it begins.

#include <cstdint>

#include "decode/decoder.h"
#include "sweep/plan.h"

namespace tide {

/// Upper bounds, from one prefill and a few steps of a batch of the plan's own rows.
struct SweepEstimate {
  double seconds = 0;
  double prefill_ms = 0;       ///< of the longest sample, by every prefill rule
  double row_step_ms = 0;      ///< one row's share of a batch's step
  std::int64_t row_steps = 0;  ///< when every answer runs to its limit

  std::int64_t batch = 0;         ///< rows of the longest sample that are decoded together
  std::int64_t row_bytes = 0;     ///< one row in memory at its end, beside its prompt
  std::int64_t prompt_bytes = 0;  ///< the longest prompt: its cache by every rule, and the reference
  std::int64_t peak_bytes = 0;    ///< that the process holds: program, model, prompts and rows
  std::int64_t limit_bytes = 0;   ///< that it may hold
  std::int64_t disk_bytes = 0;    ///< of the folder: rows, figures and page
};

/// Throws InputError: a sample that cannot be made.
SweepEstimate estimate_sweep(Decoder& decoder, const SweepPlan& plan);

}  // namespace tide
