#include "search/evaluator.h"

#include "base/error.h"
#include "sweep/csv.h"

namespace tide {

Evaluator::Evaluator(Decoder& decoder, SweepPlan plan, std::filesystem::path results, Criterion criterion,
                     PolicyOf policy_of, SweepHooks hooks)
    : decoder_(decoder),
      plan_(std::move(plan)),
      samples_(plan_.samples),
      path_(std::move(results)),
      criterion_(criterion),
      policy_of_(std::move(policy_of)),
      hooks_(std::move(hooks)) {
  plan_.forced_only = true;
  // What is written is what counts, so that a search that was interrupted ends as it would have.
  hooks_.before_row = [this](const SweepRow& row) { remember(result_row(parse_csv_line(format_row(row)))); };
  { const ResultsFile checked(path_); }  // cuts a torn line, refuses another file
  for (const ResultRow& row : read_result_rows(path_)) remember(row);
}

void Evaluator::remember(const ResultRow& row) {
  if (row.status != "ok") fail_work("{}: policy {}: {}", path_.string(), row.key.policy, row.status);
  values_[row.key.text()] = {row.answer_logprob, row.agree, row.rows_read};
}

std::vector<Standing> Evaluator::measure(std::span<const Candidate> candidates, std::int64_t begin,
                                         std::int64_t end) {
  TIDE_ASSERT(begin < end && end <= n_samples());
  plan_.policies.clear();
  for (const Candidate& candidate : candidates) plan_.policies.push_back(policy_of_(candidate));
  plan_.samples.assign(samples_.begin() + begin, samples_.begin() + end);
  ResultsFile results(path_);
  if (!run_sweep(decoder_, plan_, results, hooks_).complete()) stopped_ = true;
  std::vector<Standing> standings;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    standings.push_back(standing_of(candidates[i], *plan_.policies[i]));
  return standings;
}

Standing Evaluator::standing_of(const Candidate& candidate, const AttentionPolicy& policy) const {
  constexpr double kTieBreak = 0.01;
  Standing standing{candidate};
  for (const auto& sample : plan_.samples) {
    const auto found = values_.find(row_key(*sample.task, sample.spec, policy).text());
    const Value value = found == values_.end() ? Value{} : found->second;  // after a signal
    standing.worth.push_back(criterion_ == Criterion::agree ? value.agree + kTieBreak * value.logprob
                                                            : value.logprob);
    const auto share = 1 / static_cast<double>(plan_.samples.size());
    standing.rows_read += value.rows_read * share;
    standing.answer_logprob += value.logprob * share;
    standing.agree += value.agree * share;
  }
  return standing;
}

}  // namespace tide
