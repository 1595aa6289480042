#pragma once
// How long the samples of a sweep are, known before any is decoded.

#include <cstdint>
#include <map>
#include <utility>

#include "sweep/plan.h"

namespace tide {

/// A sample as the config wants it decoded.
Sample sample_of(const SweepPlan& plan, const SweepPlan::SampleRef& ref);

/// Tokens of its free answer at most; 0: none is decoded.
std::int64_t new_tokens_of(const SweepPlan& plan, const Sample& sample);

struct SampleSize {
  std::int64_t prompt = 0;  ///< tokens
  std::int64_t forced = 0;  ///< steps of a row's teacher-forced pass, the prompt's decoded tail included
  std::int64_t free = 0;    ///< steps of a row's own answer at most, likewise

  std::int64_t row_steps() const { return forced + free; }
};

/// Sizes by sample. The first of a task and length stands for all of them where samples are made as long as
/// is asked for; where each has a length of its own, each is made.
class SampleSizes {
 public:
  explicit SampleSizes(const SweepPlan& plan) : plan_(plan) {}
  SampleSize of(const SweepPlan::SampleRef& ref);

 private:
  const SweepPlan& plan_;
  std::map<std::pair<const Task*, std::int64_t>, SampleSize> known_;
};

}  // namespace tide
