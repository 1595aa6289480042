#pragma once
// The sweep itself: one prefill a sample, every policy a fork, all decoded in batches.

#include <cstdint>
#include <functional>
#include <string>

#include "decode/decoder.h"
#include "sweep/plan.h"
#include "sweep/prompts.h"
#include "sweep/results.h"

namespace tide {

struct SweepHooks {
  /// True asks for a clean end: rows being decoded are finished and written, no other is begun.
  std::function<bool()> interrupted;
  /// Rows done of all, those found in the file included.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  /// Gets each row before it is written: what belongs to it in other files is there when it is.
  std::function<void(const SweepRow&)> before_row;
  /// Prompts that it has are not passed again; it outlives the sweep. Null: none are kept.
  PromptKeeper* keeper = nullptr;
};

struct SweepOutcome {
  std::int64_t total = 0;    ///< rows of the plan
  std::int64_t found = 0;    ///< already in the file
  std::int64_t written = 0;  ///< by this run, failed ones included
  std::int64_t failed = 0;   ///< written with a status other than ok

  bool complete() const { return found + written == total; }
};

/// Runs what of the plan is not in the file yet. A row comes from two forks of its sample's prompt: one
/// decodes the answer greedily to its end, one is fed the reference answer (teacher forcing) and compared
/// with full attention's distributions on the same tokens. A task without an answer to decode has the second
/// alone. Both decode the prompt's tail under the policy first, where the sample has one. A policy that
/// cannot begin gives a row whose status says why. Throws InputError (a sample that cannot be made),
/// WorkError.
SweepOutcome run_sweep(Decoder& decoder, const SweepPlan& plan, ResultsFile& results,
                       const SweepHooks& hooks);

}  // namespace tide
