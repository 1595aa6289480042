#include "sweep/sample_work.h"

#include "base/error.h"

namespace tide {

namespace {

/// A row while its jobs run; the last one to end hands it over.
struct RowWork {
  std::shared_ptr<SampleWork> sample;
  RowSink sink;
  SweepRow row;
  int jobs_left = 2;
  FidelityMeasure fidelity;
  std::vector<std::int32_t> answer;  ///< decoded freely, the end token included

  RowWork(std::shared_ptr<SampleWork> work, RowSink to)
      : sample(std::move(work)), sink(std::move(to)), fidelity(sample->sample.answer_ids) {}

  void job_ended() {
    if (--jobs_left == 0) sink(row);
  }
};

/// The token that follows step `step` (counted from 0) of a teacher-forced answer, or nothing at its end.
std::optional<std::int32_t> forced_next(const std::vector<std::int32_t>& answer_ids, std::size_t step) {
  if (step + 1 >= answer_ids.size()) return std::nullopt;
  return answer_ids[step];
}

DecodeJob job_of(const SampleWork& work, std::shared_ptr<const AttentionPolicy> policy, std::int64_t steps) {
  DecodeJob job;
  job.prompt = work.prompt;
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
  row.prefill_ms = work.prompt->prefill_ms;
  return row;
}

void finish_free(RowWork& row, const Sequence& sequence, const StepCost& cost) {
  const SampleWork& work = *row.sample;
  const auto steps = static_cast<double>(sequence.step());
  row.row.output = work.tokenizer->decode(row.answer);
  const Score score = work.task->score(work.sample, row.row.output);
  row.row.correct = score.correct;
  if (score.score) row.row.score = *score.score;
  row.row.tokens = steps;
  row.row.rows_read = static_cast<double>(sequence.rows_read()) / (steps * work.n_layers * work.n_kv_heads);
  row.row.bytes_read = static_cast<double>(sequence.bytes_read()) / steps;
  row.row.decode_ms_per_token = cost.step_ms;
  row.row.batch = cost.rows;
}

DecodeJob forced_job(const std::shared_ptr<RowWork>& row,
                     const std::shared_ptr<const AttentionPolicy>& policy) {
  const SampleWork& work = *row->sample;
  DecodeJob job = job_of(work, policy, static_cast<std::int64_t>(work.sample.answer_ids.size()));
  job.next = [row, step = std::size_t{0}](std::span<const float> logits) mutable {
    row->fidelity.add(logits, row->sample->reference);
    return forced_next(row->sample->sample.answer_ids, step++);
  };
  job.done = [row](const Sequence&, const StepCost&) {
    row->row.answer_logprob = row->fidelity.answer_logprob();
    row->row.kl = row->fidelity.kl();
    row->row.agree = row->fidelity.agree();
    row->job_ended();
  };
  return job;
}

DecodeJob free_job(const std::shared_ptr<RowWork>& row,
                   const std::shared_ptr<const AttentionPolicy>& policy) {
  DecodeJob job = job_of(*row->sample, policy, row->sample->new_tokens);
  job.next = [row](std::span<const float> logits) -> std::optional<std::int32_t> {
    const std::int32_t id = argmax(logits);
    row->answer.push_back(id);
    const SampleWork& work = *row->sample;
    if (work.tokenizer->ends(id) || static_cast<std::int64_t>(row->answer.size()) >= work.new_tokens)
      return std::nullopt;
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
  DecodeJob job = job_of(*work, full, static_cast<std::int64_t>(work->sample.answer_ids.size()));
  job.next = [work](std::span<const float> logits) {
    auto& steps = work->reference.log_prob;
    steps.emplace_back();
    log_softmax(logits, steps.back());
    return forced_next(work->sample.answer_ids, steps.size() - 1);
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
  for (auto make : {forced_job, free_job}) {
    DecodeJob job = make(row, policy);
    job.failed = [row](const std::string& reason) {
      row->row.status = reason;
      row->job_ended();
    };
    jobs.push_back(std::move(job));
  }
}

}  // namespace tide
