#pragma once
// What candidates are worth on a task's samples: teacher-forced, all of them as forks of one prefill a
// sample.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "search/race.h"
#include "sweep/engine.h"
#include "sweep/result_rows.h"

namespace tide {

/// What makes a candidate worth more on a sample, teacher-forced.
enum class Criterion {
  /// Share of the answer's tokens that the policy would decode as full attention does; the log-probability
  /// breaks ties. It tells right answers from wrong ones: what counts is which token is the most likely one,
  /// not by how much.
  agree,
  logprob,  ///< of the answer, nats a token
};

/// A candidate as a policy bound to the model.
using PolicyOf = std::function<std::shared_ptr<const AttentionPolicy>(const Candidate&)>;

/// Runs candidates through the sweep. Rows go to a results file as they finish; what stands there already is
/// not decoded again.
class Evaluator {
 public:
  /// `plan`: the task's samples, in the order in which the search uses them; its policies are replaced.
  /// Throws InputError: a results file of another kind.
  Evaluator(Decoder& decoder, SweepPlan plan, std::filesystem::path results, Criterion criterion,
            PolicyOf policy_of, SweepHooks hooks = {});

  std::int64_t n_samples() const { return static_cast<std::int64_t>(samples_.size()); }
  bool stopped() const { return stopped_; }  ///< a signal ended a measurement early: its values are worthless

  /// As race() wants it. Throws WorkError: a row that failed, and what `policy_of` throws.
  std::vector<Standing> measure(std::span<const Candidate> candidates, std::int64_t begin, std::int64_t end);

 private:
  struct Value {
    double logprob = 0, agree = 0, rows_read = 0;
  };

  void remember(const ResultRow& row);
  Standing standing_of(const Candidate& candidate, const AttentionPolicy& policy) const;

  Decoder& decoder_;
  SweepPlan plan_;
  std::vector<SweepPlan::SampleRef> samples_;
  std::filesystem::path path_;
  Criterion criterion_;
  PolicyOf policy_of_;
  SweepHooks hooks_;
  std::map<std::string, Value> values_;  // by row key
  bool stopped_ = false;
};

}  // namespace tide
