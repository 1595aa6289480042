#pragma once
// One sample's share of a sweep: its prompt, full attention's reference, and the jobs of its rows.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sweep/batch.h"
#include "sweep/fidelity.h"
#include "sweep/plan.h"
#include "sweep/prompts.h"
#include "sweep/results.h"

namespace tide {

/// Shared by the jobs of one sample, which keep it alive.
struct SampleWork {
  const Task* task;
  Sample sample;
  Prompts prompts;
  std::vector<std::int32_t> tail;  ///< of the prompt, decoded under the policy before the answer
  FidelityReference reference;
  std::int64_t new_tokens;  ///< limit of a free answer; 0: none is decoded
  const ModelConfig* config;
  const Tokenizer* tokenizer;
  bool output_error = false;  ///< measured beside the other teacher-forced measures

  std::int64_t n_tail() const { return std::ssize(tail); }
  /// Steps of a teacher-forced pass: the prompt's tail, then the reference answer.
  std::int64_t forced_steps() const { return n_tail() + std::ssize(sample.answer_ids); }
};

/// Makes the sample and passes its prompt for `policies` and for the reference; `n_readers` of them read its
/// full distributions. What `keeper` has is not passed again. Throws InputError: a sample that cannot be
/// made.
std::shared_ptr<SampleWork> prepare_sample(Decoder& decoder, const SweepPlan& plan,
                                           const SweepPlan::SampleRef& ref,
                                           std::vector<std::shared_ptr<const AttentionPolicy>> policies,
                                           std::size_t n_readers, PromptKeeper* keeper = nullptr);

/// A job that continues the work's prompt for `steps` steps at most; it has nothing to do yet.
DecodeJob job_of(const SampleWork& work, std::shared_ptr<const AttentionPolicy> policy, std::int64_t steps);

/// The job that decodes the reference answer under full attention and keeps its distributions. It must
/// begin before the jobs of the sample's rows.
DecodeJob reference_job(const std::shared_ptr<SampleWork>& work,
                        const std::shared_ptr<const AttentionPolicy>& full);

}  // namespace tide
