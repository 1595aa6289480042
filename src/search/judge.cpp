#include "search/judge.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "sweep/result_rows.h"

namespace tide {

std::vector<Judged> judge(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& results,
                          const SweepHooks& hooks) {
  {
    ResultsFile file(results);
    if (!run_sweep(decoder, plan, file, hooks).complete()) return {};
  }
  std::map<std::string, Judged> of_policy;
  for (const ResultRow& row : read_result_rows(results)) {
    if (row.status != "ok") fail_work("{}: policy {}: {}", results.string(), row.key.policy, row.status);
    if (!row.correct) fail_input("task {}: has no right and wrong answers to judge by", row.key.task);
    Judged& judged = of_policy[row.key.policy];
    ++judged.n;
    judged.n_correct += *row.correct ? 1 : 0;
    judged.answer_logprob += row.answer_logprob;
    judged.rows_read += row.rows_read;
  }
  std::vector<Judged> all;
  for (const auto& policy : plan.policies) {
    Judged judged = of_policy[policy->canonical()];
    judged.policy = policy->canonical();
    judged.answer_logprob /= static_cast<double>(judged.n);
    judged.rows_read /= static_cast<double>(judged.n);
    all.push_back(judged);
  }
  return all;
}

std::size_t choose(std::span<const Judged> judged, std::span<const double> cost, double full_accuracy,
                   const Objective& objective) {
  TIDE_ASSERT(!judged.empty() && judged.size() == cost.size());
  const auto rank = [&](std::size_t i) {
    const Judged& one = judged[i];
    const double accuracy = one.accuracy(), logprob = one.answer_logprob;
    if (objective.cost_at_most) {
      return cost[i] <= *objective.cost_at_most ? std::tuple(0, -accuracy, -logprob)
                                                : std::tuple(1, cost[i], -logprob);
    }
    return accuracy >= objective.floor * full_accuracy ? std::tuple(0, cost[i], -logprob)
                                                       : std::tuple(1, -accuracy, -logprob);
  };
  std::size_t best = 0;
  for (std::size_t i = 1; i < judged.size(); ++i) best = rank(i) < rank(best) ? i : best;
  return best;
}

std::size_t most_accurate(std::span<const Judged> judged) {
  const std::vector<double> costs(judged.size());
  return choose(judged, costs, 1, {.floor = 2});
}

std::vector<Candidate> rule_of_thumb_and_random(const CandidateSpace& space, const Candidate& chosen,
                                                int n_random, std::uint64_t seed) {
  const int middle = space.n_layers / 2;
  std::vector<Candidate> rivals = {{middle > 2 ? std::vector{2, middle} : std::vector{2}, chosen.settings}};
  std::set<Candidate> taken = {chosen, rivals.front()};
  const auto n_select = static_cast<int>(chosen.select.size());
  std::mt19937_64 random(seed);
  // Placements are drawn layer by layer: their number can be astronomical.
  for (int tries = 0; std::ssize(rivals) <= n_random && tries < 1000; ++tries) {
    std::set<int> layers;
    if (space.fixed_first) layers.insert(space.first);
    const auto room = static_cast<std::uint64_t>(space.n_layers - space.first);
    while (std::ssize(layers) < n_select) layers.insert(space.first + static_cast<int>(random() % room));
    Candidate drawn{{layers.begin(), layers.end()}, chosen.settings};
    if (taken.insert(drawn).second) rivals.push_back(std::move(drawn));
  }
  return rivals;
}

}  // namespace tide
