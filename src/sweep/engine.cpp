#include "sweep/engine.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <utility>

#include "base/error.h"
#include "sweep/row_work.h"

namespace tide {

namespace {

/// A sample as the config wants it decoded.
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

/// `policies`: those that the prompt is passed for; `n_readers` of them read the full distributions.
std::shared_ptr<SampleWork> prepare(Decoder& decoder, const SweepPlan& plan, const SweepPlan::SampleRef& ref,
                                    std::vector<std::shared_ptr<const AttentionPolicy>> policies,
                                    std::size_t n_readers, PromptKeeper* keeper = nullptr) {
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

/// Memory that the prompts of samples in work may take together, those of a keeper aside; one prompt is
/// always taken in.
constexpr std::size_t kPromptBytes = std::size_t{1} << 30;

/// Hands out the jobs of one sample after the other, so that a batch stays full across samples.
class Engine {
 public:
  Engine(Decoder& decoder, const SweepPlan& plan, ResultsFile& results, const SweepHooks& hooks)
      : decoder_(decoder), plan_(plan), results_(results), hooks_(hooks) {
    outcome_.total = plan.n_rows();
    for (const auto& sample : plan.samples) {
      outcome_.found += static_cast<std::int64_t>(plan.policies.size() - missing(sample).size());
    }
  }

  SweepOutcome run() {
    report();
    run_batch(
        decoder_, static_cast<int>(plan_.config.batch), [this] { return next_job(); },
        [this] { results_.sync(); });
    results_.sync();
    return outcome_;
  }

 private:
  using Policy = std::shared_ptr<const AttentionPolicy>;

  std::vector<Policy> missing(const SweepPlan::SampleRef& sample) const {
    std::vector<Policy> policies;
    for (const Policy& policy : plan_.policies) {
      if (!results_.has(row_key(*sample.task, sample.spec, *policy))) policies.push_back(policy);
    }
    return policies;
  }

  std::optional<DecodeJob> next_job() {
    if (hooks_.interrupted && hooks_.interrupted()) {
      jobs_.clear();
      next_sample_ = plan_.samples.size();
    }
    while (jobs_.empty() && next_sample_ < plan_.samples.size() && has_room()) {
      open(plan_.samples[next_sample_++]);
    }
    if (jobs_.empty()) return std::nullopt;
    DecodeJob job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  /// Whether one more sample's prompts, as large as the last one's, fit beside those being decoded.
  bool has_room() {
    std::size_t bytes = 0, last = 0;
    for (auto& prompts : in_work_) {
      std::erase_if(prompts, [](const auto& prompt) { return prompt.expired(); });
      last = 0;
      for (const auto& prompt : prompts) last += prompt.lock()->rows->bytes();
      bytes += last;
    }
    std::erase_if(in_work_, [](const auto& prompts) { return prompts.empty(); });
    return bytes + last <= kPromptBytes;
  }

  void open(const SweepPlan::SampleRef& sample) {
    const auto policies = missing(sample);
    if (policies.empty()) return;
    const auto work = prepare(decoder_, plan_, sample, policies, policies.size(), hooks_.keeper);
    std::vector<std::weak_ptr<const Prompt>> opened;
    for (const auto& prompt : work->prompts.all()) {
      if (!hooks_.keeper || !hooks_.keeper->holds(prompt)) opened.push_back(prompt);
    }
    in_work_.push_back(std::move(opened));
    jobs_.push_back(reference_job(work, plan_.full));
    for (const Policy& policy : policies) {
      jobs_.push_back(row_job(work, policy,
                              {.finished = [this](const SweepRow& row) { write(row); },
                               // First: when a sample's rows have ended, its prompt can go.
                               .more = [this](DecodeJob job) { jobs_.push_front(std::move(job)); }}));
    }
  }

  void write(const SweepRow& row) {
    if (hooks_.before_row) hooks_.before_row(row);
    results_.append(row);
    ++outcome_.written;
    if (row.status != "ok") ++outcome_.failed;
    report();
  }

  void report() const {
    if (hooks_.progress) hooks_.progress(outcome_.found + outcome_.written, outcome_.total);
  }

  Decoder& decoder_;
  const SweepPlan& plan_;
  ResultsFile& results_;
  const SweepHooks& hooks_;
  SweepOutcome outcome_;
  std::deque<DecodeJob> jobs_;
  std::vector<std::vector<std::weak_ptr<const Prompt>>> in_work_;  // by sample
  std::size_t next_sample_ = 0;
};

/// Decodes the plan's first rows for a few steps; returns one row's share of a step.
double measure_row_step_ms(Decoder& decoder, const SweepPlan& plan, const SampleWork& work) {
  constexpr int kSteps = 4;
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> rows;
  const auto n_rows = std::min(static_cast<std::size_t>(plan.config.batch), plan.policies.size());
  for (std::size_t i = 0; i < n_rows; ++i) {
    // Spread over the grid: its first policies may be the cheap ones.
    const auto& policy = plan.policies[i * plan.policies.size() / n_rows];
    sequences.push_back(decoder.fork(work.prompts.of(*policy), policy, kSteps, work.sample.random_seed()));
    rows.push_back(sequences.back().get());
  }
  std::vector<std::int32_t> fed(rows.size(), work.prompts.of(*plan.full)->ids.back());
  double best_ms = 0;
  for (int step = 0; step < kSteps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    decoder.step(rows, fed);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (step == 1 || (step > 1 && took.count() < best_ms)) best_ms = took.count();
    for (std::size_t i = 0; i < rows.size(); ++i) fed[i] = argmax(rows[i]->logits());
  }
  return best_ms / static_cast<double>(rows.size());
}

}  // namespace

SweepOutcome run_sweep(Decoder& decoder, const SweepPlan& plan, ResultsFile& results,
                       const SweepHooks& hooks) {
  return Engine(decoder, plan, results, hooks).run();
}

SweepEstimate estimate_sweep(Decoder& decoder, const SweepPlan& plan) {
  // The first sample stands for all of its task and length.
  std::map<std::pair<const Task*, std::int64_t>, Sample> firsts;
  const SweepPlan::SampleRef* longest = nullptr;
  std::size_t most_tokens = 0;
  for (const auto& ref : plan.samples) {
    const auto [entry, is_new] = firsts.try_emplace({ref.task, ref.spec.length});
    if (!is_new) continue;
    entry->second = sample_of(plan, ref);
    const std::size_t tokens = entry->second.prompt_ids.size();
    if (tokens > most_tokens) longest = &ref, most_tokens = tokens;
  }
  const auto work = prepare(decoder, plan, *longest, plan.policies, 0);
  SweepEstimate estimate;
  estimate.prefill_ms = work->prompts.prefill_ms();
  estimate.row_step_ms = measure_row_step_ms(decoder, plan, *work);
  double ms = 0;
  for (const auto& ref : plan.samples) {
    const Sample& sample = firsts.at({ref.task, ref.spec.length});
    const std::int64_t forced = sample.decoded_tail + std::ssize(sample.answer_ids);
    const std::int64_t wanted = new_tokens_of(plan, sample);
    const std::int64_t free = wanted > 0 ? sample.decoded_tail + wanted : 0;
    const std::int64_t row_steps = (forced + free) * static_cast<std::int64_t>(plan.policies.size());
    estimate.row_steps += row_steps;
    // Both grow with the length at least in proportion: of the longest prompt's, a share is an upper bound.
    const double share = static_cast<double>(sample.prompt_ids.size()) / static_cast<double>(most_tokens);
    ms += estimate.prefill_ms * share + estimate.row_step_ms * static_cast<double>(row_steps);
  }
  estimate.seconds = ms / 1000;
  return estimate;
}

}  // namespace tide
