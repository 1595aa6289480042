#include "sweep/sample_size.h"

#include <algorithm>

namespace tide {

Sample sample_of(const SweepPlan& plan, const SweepPlan::SampleRef& ref) {
  Sample sample = ref.task->sample(ref.spec);
  if (plan.config.question == "decoded")
    sample.decoded_tail = std::max(sample.decoded_tail, sample.question_tokens);
  return sample;
}

std::int64_t new_tokens_of(const SweepPlan& plan, const Sample& sample) {
  if (plan.forced_only) return 0;
  const bool limited = plan.config.new_tokens > 0 && sample.max_new_tokens > 0;
  return limited ? plan.config.new_tokens : sample.max_new_tokens;
}

SampleSize SampleSizes::of(const SweepPlan::SampleRef& ref) {
  const bool alike = ref.task->has_length();
  if (alike) {
    const auto found = known_.find({ref.task, ref.spec.length});
    if (found != known_.end()) return found->second;
  }
  const Sample sample = sample_of(plan_, ref);
  const std::int64_t wanted = new_tokens_of(plan_, sample);
  const SampleSize size{std::ssize(sample.prompt_ids), sample.decoded_tail + std::ssize(sample.answer_ids),
                        wanted > 0 ? sample.decoded_tail + wanted : 0};
  if (alike) known_[{ref.task, ref.spec.length}] = size;
  return size;
}

}  // namespace tide
