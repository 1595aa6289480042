#pragma once
// Many sequences decoded as one batch that is kept full: a row that ends makes room for the next one.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "decode/decoder.h"

namespace tide {

/// What the steps of one sequence took.
struct StepCost {
  double step_ms = 0;  ///< wall time of a batch's step, mean
  double rows = 0;     ///< rows in those steps, mean
};

/// One sequence to decode and what becomes of it.
struct DecodeJob {
  std::shared_ptr<const Prompt> prompt;
  std::shared_ptr<const AttentionPolicy> policy;
  std::int64_t max_steps = 0;
  std::uint64_t seed = 0;
  DecodeObserver* observer = nullptr;  ///< must live as long as the job
  /// Called after each step, with the costs so far; returns the token to feed next, or nothing when the
  /// sequence is done.
  std::function<std::optional<std::int32_t>(const Sequence&, const StepCost&)> next;
  std::function<void()> done;
  /// The sequence could not begin, with the reason.
  std::function<void(const std::string&)> failed;
};

/// Where jobs come from: asked whenever there is room; nothing: no more for now.
using JobSource = std::function<std::optional<DecodeJob>()>;

/// Decodes jobs until the source has none and all have ended. Jobs begin in the source's order, and
/// within a step the earlier job's `next` is called first: a job may use what an earlier one saw at the
/// same step of its own. `after_step` is called after every step of the batch.
void run_batch(Decoder& decoder, int batch_size, const JobSource& source,
               const std::function<void()>& after_step);

}  // namespace tide
