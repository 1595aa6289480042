#include "sweep/engine.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "sweep/row_room.h"
#include "sweep/row_work.h"

namespace tide {

namespace {

/// Hands out the jobs of one sample after the other, so that a batch stays full across samples.
class Engine {
 public:
  Engine(Decoder& decoder, const SweepPlan& plan, ResultsFile& results, const SweepHooks& hooks)
      : decoder_(decoder),
        plan_(plan),
        results_(results),
        hooks_(hooks),
        sizes_(plan),
        room_(MemoryCosts(decoder.model().config(), plan.config.kv_dtype), memory_limit(plan.config.memory)) {
    outcome_.total = plan.n_rows();
    for (const auto& sample : plan.samples) {
      outcome_.found += static_cast<std::int64_t>(plan.policies.size() - missing(sample).size());
    }
  }

  SweepOutcome run() {
    report();
    check_memory();
    run_batch(
        decoder_, static_cast<int>(plan_.config.batch), [this] { return next_job(); },
        [this] {
          results_.sync();
          room_.look();
        });
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
    while (jobs_.empty() && next_sample_ < plan_.samples.size()) {
      const auto& sample = plan_.samples[next_sample_];
      const auto policies = missing(sample);
      if (!policies.empty() &&
          !room_.fits_prompt(sizes_.of(sample), n_rules(policies), all_at_once(policies)))
        return std::nullopt;
      ++next_sample_;
      if (!policies.empty()) open(sample, policies);
    }
    if (jobs_.empty() || !room_.fits_row(jobs_.front())) return std::nullopt;
    DecodeJob job = room_.admit(std::move(jobs_.front()));
    jobs_.pop_front();
    return job;
  }

  /// Prompts of one sample, the reference's dense one among them.
  std::int64_t n_rules(const std::vector<Policy>& policies) const {
    std::set<std::string> rules = {plan_.full->prefill_rule().text};
    for (const Policy& policy : policies) rules.insert(policy->prefill_rule().text);
    return std::ssize(rules);
  }

  /// Whether a sample's rows keep step with the reference, so that its distributions are soon let go.
  bool all_at_once(const std::vector<Policy>& policies) const {
    return std::ssize(policies) + 1 <= plan_.config.batch;
  }

  /// Memory that was asked for and cannot hold a single row is told before anything is decoded.
  void check_memory() {
    if (plan_.config.memory.empty() || outcome_.found == outcome_.total) return;
    std::int64_t most = 0;
    for (const auto& sample : plan_.samples) {
      const SampleSize size = sizes_.of(sample);
      const auto steps = std::max(size.forced, size.free);
      most = std::max(most, room_.costs().prompt(size, n_rules(plan_.policies), true) +
                                room_.costs().row(size.prompt) + room_.costs().growth(steps));
    }
    const std::int64_t held = resident_bytes();
    if (held + most > room_.limit())
      fail_input(
          "memory: {} are too little: the model and the program hold {}, the longest prompt and one row "
          "take up to {}",
          plan_.config.memory, human_bytes(static_cast<double>(held)),
          human_bytes(static_cast<double>(most)));
  }

  void open(const SweepPlan::SampleRef& sample, const std::vector<Policy>& policies) {
    const auto work = prepare_sample(decoder_, plan_, sample, policies, policies.size(), hooks_.keeper);
    room_.look();
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
  SampleSizes sizes_;
  RowRoom room_;
  SweepOutcome outcome_;
  std::deque<DecodeJob> jobs_;
  std::size_t next_sample_ = 0;
};

}  // namespace

SweepOutcome run_sweep(Decoder& decoder, const SweepPlan& plan, ResultsFile& results,
                       const SweepHooks& hooks) {
  return Engine(decoder, plan, results, hooks).run();
}

}  // namespace tide
