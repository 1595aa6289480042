#pragma once
// One sample's share of a sweep: its prompt, full attention's reference, and the jobs of its rows.

#include <deque>
#include <functional>
#include <memory>

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
};

/// Gets a row when both of its jobs have ended.
using RowSink = std::function<void(const SweepRow&)>;

/// The job that decodes the reference answer under full attention and keeps its distributions. It must
/// begin before the jobs of the sample's rows.
DecodeJob reference_job(const std::shared_ptr<SampleWork>& work,
                        const std::shared_ptr<const AttentionPolicy>& full);

/// Adds the jobs of one row: the reference answer teacher-forced and, where there is an answer to decode,
/// that answer decoded freely.
void add_row_jobs(const std::shared_ptr<SampleWork>& work,
                  const std::shared_ptr<const AttentionPolicy>& policy, const RowSink& sink,
                  std::deque<DecodeJob>& jobs);

}  // namespace tide
