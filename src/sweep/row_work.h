#pragma once
// A row of results while it is decoded: its policy's pass over the reference answer, teacher-forced, and its
// own greedy answer. Both begin with the same tokens, and go on as one sequence until the greedy answer
// leaves the reference.

#include <functional>
#include <memory>

#include "sweep/sample_work.h"

namespace tide {

/// What a row's jobs tell whoever runs them.
struct RowHooks {
  std::function<void(const SweepRow&)> finished;  ///< once, when both answers have been decoded
  std::function<void(DecodeJob)> more;            ///< a further job of the row's, to be run like the first
};

/// The job that begins a row. The answer leaves the reference at a token: the reference then goes on in this
/// job, and a second one decodes the answer, from the prompt on, as its rows of the cache are its own.
DecodeJob row_job(const std::shared_ptr<SampleWork>& work,
                  const std::shared_ptr<const AttentionPolicy>& policy, RowHooks hooks);

}  // namespace tide
