#include "sweep/sample_work.h"

#include "base/error.h"
#include "sweep/sample_size.h"

namespace tide {

std::shared_ptr<SampleWork> prepare_sample(Decoder& decoder, const SweepPlan& plan,
                                           const SweepPlan::SampleRef& ref,
                                           std::vector<std::shared_ptr<const AttentionPolicy>> policies,
                                           std::size_t n_readers, PromptKeeper* keeper) {
  const Model& model = decoder.model();
  auto work = std::make_shared<SampleWork>();
  work->task = ref.task;
  work->sample = sample_of(plan, ref);
  work->reference = FidelityReference(static_cast<std::int64_t>(n_readers));
  const std::span<const std::int32_t> ids = work->sample.prompt_ids;
  const std::size_t prefilled = ids.size() - static_cast<std::size_t>(work->sample.decoded_tail);
  policies.push_back(plan.full);  // the reference's, which is dense whatever the others ask for
  work->prompts = Prompts(decoder, ids.first(prefilled), policies, keeper);
  work->tail.assign(ids.begin() + static_cast<std::ptrdiff_t>(prefilled), ids.end());
  work->new_tokens = new_tokens_of(plan, work->sample);
  work->config = &model.config();
  work->tokenizer = &model.tokenizer();
  work->output_error = plan.config.output_error;
  return work;
}

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
