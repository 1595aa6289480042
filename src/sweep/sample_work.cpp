#include "sweep/sample_work.h"

#include "base/error.h"

namespace tide {

DecodeJob job_of(const SampleWork& work, std::shared_ptr<const AttentionPolicy> policy, std::int64_t steps) {
  DecodeJob job;
  job.prompt = work.prompts.of(*policy);
  job.policy = std::move(policy);
  job.max_steps = steps;
  job.seed = work.sample.random_seed();
  return job;
}

DecodeJob reference_job(const std::shared_ptr<SampleWork>& work,
                        const std::shared_ptr<const AttentionPolicy>& full) {
  DecodeJob job = job_of(*work, full, work->forced_steps());
  job.next = [work](const Sequence& sequence, const StepCost&) -> std::optional<std::int32_t> {
    const std::int64_t fed = sequence.step();  // the next token of tail and answer is the fed-th
    if (fed > work->n_tail()) work->reference.add(sequence.logits());
    if (fed >= work->forced_steps()) return std::nullopt;
    return fed <= work->n_tail()
               ? work->tail[static_cast<std::size_t>(fed - 1)]
               : work->sample.answer_ids[static_cast<std::size_t>(fed - 1 - work->n_tail())];
  };
  job.done = [] {};
  job.failed = [](const std::string& reason) { fail_work("full attention's reference: {}", reason); };
  return job;
}

}  // namespace tide
