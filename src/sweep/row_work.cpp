#include "sweep/row_work.h"

#include <algorithm>
#include <utility>

#include "sweep/output_error.h"

namespace tide {

namespace {

SweepRow empty_row(const SampleWork& work, const AttentionPolicy& policy) {
  SweepRow row;
  row.key = row_key(*work.task, work.sample.spec, policy);
  row.placement = placement_letters(policy.placement());
  row.sharing = policy.sharing();
  row.map = policy.map();
  row.budget = policy.budget();
  row.prefill_ms = work.prompts.of(policy)->prefill_ms;
  row.prompt_tokens = static_cast<double>(work.sample.prompt_ids.size());
  row.scored_tokens = static_cast<double>(work.sample.answer_ids.size());
  return row;
}

/// A row and what is open of it.
class RowWork : public std::enable_shared_from_this<RowWork> {
 public:
  RowWork(std::shared_ptr<SampleWork> work, std::shared_ptr<const AttentionPolicy> policy, RowHooks hooks)
      : work_(std::move(work)),
        policy_(std::move(policy)),
        hooks_(std::move(hooks)),
        row_(empty_row(*work_, *policy_)),
        fidelity_(work_->sample.answer_ids) {}

  DecodeJob first_job();

 private:
  /// After a step of the sequence that reads the reference: the token to feed next.
  std::optional<std::int32_t> next_of_reference(const Sequence& sequence, const StepCost& cost);
  /// After a step of the sequence that decodes an answer which has left the reference.
  std::optional<std::int32_t> next_of_answer(const Sequence& sequence, const StepCost& cost);
  DecodeJob answer_job();
  /// Takes the most likely token into the answer; whether the answer goes on after it.
  bool take_token(const Sequence& sequence, const StepCost& cost);
  void finish_forced();
  void finish_answer();
  void add_costs(const Sequence& sequence, const StepCost& cost);
  void end_part() {
    if (--open_parts_ == 0) hooks_.finished(row_);
  }
  void fail_with(const std::string& reason) {
    row_.status = reason;
    end_part();
  }

  std::shared_ptr<SampleWork> work_;
  std::shared_ptr<const AttentionPolicy> policy_;
  RowHooks hooks_;
  SweepRow row_;
  int open_parts_ = 1;  ///< jobs
  FidelityMeasure fidelity_;
  std::optional<OutputErrorMeter> output_error_;
  std::vector<std::int32_t> answer_;  ///< decoded freely, the end token included
  bool answer_open_ = false;          ///< decoded in the first job still
};

DecodeJob RowWork::first_job() {
  const std::int64_t free_steps = work_->new_tokens > 0 ? work_->n_tail() + work_->new_tokens : 0;
  // The meter would measure the answer's own steps too: then they are another job from the start.
  answer_open_ = free_steps > 0 && !work_->output_error;
  DecodeJob job =
      job_of(*work_, policy_, std::max(work_->forced_steps(), answer_open_ ? free_steps : std::int64_t{0}));
  if (work_->output_error) {
    output_error_.emplace(work_->config->n_layers, work_->config->n_heads * work_->config->head_dim,
                          work_->n_tail());
    job.observer = &*output_error_;
    if (free_steps > 0) hooks_.more(answer_job());
  }
  const auto self = shared_from_this();
  job.next = [self](const Sequence& sequence, const StepCost& cost) {
    return self->next_of_reference(sequence, cost);
  };
  job.done = [self] { self->end_part(); };
  job.failed = [self](const std::string& reason) {
    self->work_->reference.forget_reader();
    self->fail_with(reason);
  };
  return job;
}

std::optional<std::int32_t> RowWork::next_of_reference(const Sequence& sequence, const StepCost& cost) {
  const std::int64_t step = sequence.step() - 1, scored = step - work_->n_tail();
  if (scored < 0) return work_->tail[static_cast<std::size_t>(step)];
  const std::int64_t n_forced = std::ssize(work_->sample.answer_ids);
  std::optional<std::int32_t> own;
  if (answer_open_) {
    answer_open_ = take_token(sequence, cost);
    if (answer_open_) own = answer_.back();
  }
  if (scored >= n_forced) return own;
  fidelity_.add(sequence.logits(), work_->reference);
  if (scored + 1 == n_forced) {
    finish_forced();
    if (work_->new_tokens == 0) add_costs(sequence, cost);
    return own;
  }
  const std::int32_t reference = work_->sample.answer_ids[static_cast<std::size_t>(scored)];
  if (own && *own != reference) {
    answer_open_ = false;
    hooks_.more(answer_job());
  }
  return reference;
}

DecodeJob RowWork::answer_job() {
  ++open_parts_;
  DecodeJob job = job_of(*work_, policy_, work_->n_tail() + work_->new_tokens);
  const auto self = shared_from_this();
  job.next = [self](const Sequence& sequence, const StepCost& cost) {
    return self->next_of_answer(sequence, cost);
  };
  job.done = [self] { self->end_part(); };
  job.failed = [self](const std::string& reason) { self->fail_with(reason); };
  return job;
}

std::optional<std::int32_t> RowWork::next_of_answer(const Sequence& sequence, const StepCost& cost) {
  const std::int64_t step = sequence.step() - 1, decoded = step - work_->n_tail();
  if (decoded < 0) return work_->tail[static_cast<std::size_t>(step)];
  if (decoded < std::ssize(answer_)) return answer_[static_cast<std::size_t>(decoded)];
  if (take_token(sequence, cost)) return answer_.back();
  return std::nullopt;
}

bool RowWork::take_token(const Sequence& sequence, const StepCost& cost) {
  const std::int32_t id = argmax(sequence.logits());
  answer_.push_back(id);
  if (!work_->tokenizer->ends(id) && std::ssize(answer_) < work_->new_tokens) return true;
  finish_answer();
  add_costs(sequence, cost);
  return false;
}

void RowWork::finish_forced() {
  row_.answer_logprob = fidelity_.answer_logprob();
  row_.kl = fidelity_.kl();
  row_.agree = fidelity_.agree();
  if (work_->sample.answer_ids.size() > kNllBlock) row_.block_nll = fidelity_.block_nll();
  if (output_error_) row_.output_error = output_error_->mean();
}

void RowWork::finish_answer() {
  row_.output = work_->tokenizer->decode(answer_);
  const Score score = work_->task->score(work_->sample, row_.output);
  row_.correct = score.correct;
  if (score.score) row_.score = *score.score;
  row_.tokens = static_cast<double>(answer_.size());
}

/// What the steps of the answer's decode took and read, those of the prompt's tail included.
void RowWork::add_costs(const Sequence& sequence, const StepCost& cost) {
  const auto steps = static_cast<double>(sequence.step());
  const double reads = steps * work_->config->n_layers * work_->config->n_kv_heads;
  row_.rows_read = static_cast<double>(sequence.rows_read()) / reads;
  row_.bytes_read = static_cast<double>(sequence.bytes_read()) / steps;
  row_.reuse_rate = sequence.reuse_rate();
  row_.decode_ms_per_token = cost.step_ms;
  row_.batch = cost.rows;
}

}  // namespace

DecodeJob row_job(const std::shared_ptr<SampleWork>& work,
                  const std::shared_ptr<const AttentionPolicy>& policy, RowHooks hooks) {
  return std::make_shared<RowWork>(work, policy, std::move(hooks))->first_job();
}

}  // namespace tide
