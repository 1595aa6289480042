#include "sweep/sample_work.h"

#include "base/error.h"
#include "sweep/output_error.h"

namespace tide {

namespace {

/// A row while its jobs run; the last one to end hands it over.
struct RowWork {
  std::shared_ptr<SampleWork> sample;
  RowSink sink;
  SweepRow row;
  int jobs_left = 0;
  FidelityMeasure fidelity;
  std::optional<OutputErrorMeter> output_error;
  std::vector<std::int32_t> answer;  ///< decoded freely, the end token included

  RowWork(std::shared_ptr<SampleWork> work, RowSink to)
      : sample(std::move(work)), sink(std::move(to)), fidelity(sample->sample.answer_ids) {}

  void job_ended() {
    if (--jobs_left == 0) sink(row);
  }
};

/// What a teacher-forced pass feeds: the prompt's tail, then the reference answer.
class ForcedTokens {
 public:
  explicit ForcedTokens(const SampleWork& work) : work_(work) {}
  std::int64_t steps() const { return std::ssize(work_.tail) + std::ssize(work_.sample.answer_ids); }
  /// Whether the distribution of this step predicts a token of the answer.
  bool scores(std::size_t step) const { return step >= work_.tail.size(); }
  /// The token that follows `step`, or nothing at the end.
  std::optional<std::int32_t> next(std::size_t step) const {
    if (static_cast<std::int64_t>(step) + 1 >= steps()) return std::nullopt;
    return scores(step) ? work_.sample.answer_ids[step - work_.tail.size()] : work_.tail[step];
  }

 private:
  const SampleWork& work_;
};

DecodeJob job_of(const SampleWork& work, std::shared_ptr<const AttentionPolicy> policy, std::int64_t steps) {
  DecodeJob job;
  job.prompt = work.prompts.of(*policy);
  job.policy = std::move(policy);
  job.max_steps = steps;
  job.seed = work.sample.random_seed();
  return job;
}

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

/// What the steps of a row's decode took and read, those of the prompt's tail included.
void add_costs(SweepRow& row, const SampleWork& work, const Sequence& sequence, const StepCost& cost) {
  const auto steps = static_cast<double>(sequence.step());
  const double reads = steps * work.config->n_layers * work.config->n_kv_heads;
  row.rows_read = static_cast<double>(sequence.rows_read()) / reads;
  row.bytes_read = static_cast<double>(sequence.bytes_read()) / steps;
  row.reuse_rate = sequence.reuse_rate();
  row.decode_ms_per_token = cost.step_ms;
  row.batch = cost.rows;
}

DecodeJob forced_job(const std::shared_ptr<RowWork>& row,
                     const std::shared_ptr<const AttentionPolicy>& policy) {
  const SampleWork& work = *row->sample;
  DecodeJob job = job_of(work, policy, ForcedTokens(work).steps());
  if (work.output_error) {
    row->output_error.emplace(work.config->n_layers, work.config->n_heads * work.config->head_dim,
                              std::ssize(work.tail));
    job.observer = &*row->output_error;
  }
  job.next = [row, step = std::size_t{0}](std::span<const float> logits) mutable {
    const ForcedTokens forced(*row->sample);
    if (forced.scores(step)) row->fidelity.add(logits, row->sample->reference);
    return forced.next(step++);
  };
  job.done = [row](const Sequence& sequence, const StepCost& cost) {
    const SampleWork& of = *row->sample;
    row->row.answer_logprob = row->fidelity.answer_logprob();
    row->row.kl = row->fidelity.kl();
    row->row.agree = row->fidelity.agree();
    if (of.sample.answer_ids.size() > kNllBlock) row->row.block_nll = row->fidelity.block_nll();
    if (row->output_error) row->row.output_error = row->output_error->mean();
    if (of.new_tokens == 0) add_costs(row->row, of, sequence, cost);
    row->job_ended();
  };
  return job;
}

void finish_free(RowWork& row, const Sequence& sequence, const StepCost& cost) {
  const SampleWork& work = *row.sample;
  row.row.output = work.tokenizer->decode(row.answer);
  const Score score = work.task->score(work.sample, row.row.output);
  row.row.correct = score.correct;
  if (score.score) row.row.score = *score.score;
  row.row.tokens = static_cast<double>(row.answer.size());
  add_costs(row.row, work, sequence, cost);
}

DecodeJob free_job(const std::shared_ptr<RowWork>& row,
                   const std::shared_ptr<const AttentionPolicy>& policy) {
  const SampleWork& of = *row->sample;
  DecodeJob job = job_of(of, policy, std::ssize(of.tail) + of.new_tokens);
  job.next = [row,
              step = std::size_t{0}](std::span<const float> logits) mutable -> std::optional<std::int32_t> {
    const SampleWork& work = *row->sample;
    if (step < work.tail.size()) return work.tail[step++];
    const std::int32_t id = argmax(logits);
    row->answer.push_back(id);
    if (work.tokenizer->ends(id) || std::ssize(row->answer) >= work.new_tokens) return std::nullopt;
    return id;
  };
  job.done = [row](const Sequence& sequence, const StepCost& cost) {
    finish_free(*row, sequence, cost);
    row->job_ended();
  };
  return job;
}

}  // namespace

DecodeJob reference_job(const std::shared_ptr<SampleWork>& work,
                        const std::shared_ptr<const AttentionPolicy>& full) {
  DecodeJob job = job_of(*work, full, ForcedTokens(*work).steps());
  job.next = [work, step = std::size_t{0}](std::span<const float> logits) mutable {
    const ForcedTokens forced(*work);
    if (forced.scores(step)) work->reference.add(logits);
    return forced.next(step++);
  };
  job.done = [](const Sequence&, const StepCost&) {};
  job.failed = [](const std::string& reason) { fail_work("full attention's reference: {}", reason); };
  return job;
}

void add_row_jobs(const std::shared_ptr<SampleWork>& work,
                  const std::shared_ptr<const AttentionPolicy>& policy, const RowSink& sink,
                  std::deque<DecodeJob>& jobs) {
  auto row = std::make_shared<RowWork>(work, sink);
  row->row = empty_row(*work, *policy);
  row->jobs_left = work->new_tokens > 0 ? 2 : 1;
  const auto fail = [row](const std::string& reason) {
    row->row.status = reason;
    row->job_ended();
  };
  DecodeJob forced = forced_job(row, policy);
  forced.failed = [row, fail](const std::string& reason) {
    row->sample->reference.forget_reader();
    fail(reason);
  };
  jobs.push_back(std::move(forced));
  if (work->new_tokens == 0) return;
  DecodeJob free = free_job(row, policy);
  free.failed = fail;
  jobs.push_back(std::move(free));
}

}  // namespace tide
