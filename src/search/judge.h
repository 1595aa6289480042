#pragma once
// How often policies answer right: the search's last choice, and the validation on samples of its own.

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/candidate.h"
#include "sweep/engine.h"

namespace tide {

/// One policy on all samples.
struct Judged {
  std::string policy;  ///< canonical
  std::int64_t n = 0, n_correct = 0;
  double answer_logprob = 0, rows_read = 0;  ///< means

  double accuracy() const { return static_cast<double>(n_correct) / static_cast<double>(n); }
};

/// Decodes every policy's answer to every sample of the plan; rows that the file has already are not decoded
/// again. In the order of the plan's policies; empty when a signal came first. Throws WorkError: a row that
/// failed; InputError: a task without right and wrong answers.
std::vector<Judged> judge(Decoder& decoder, const SweepPlan& plan, const std::filesystem::path& results,
                          const SweepHooks& hooks);

/// What is wanted of a policy: the lowest cost at a floor of accuracy, a share of full attention's; or, with
/// `cost_at_most`, the highest accuracy at a cost.
struct Objective {
  double floor = 0.95;
  std::optional<double> cost_at_most = {};
};

/// The index of the one that the objective asks for (one cost a policy). Where none reaches the floor, the
/// most accurate; where all cost more, the cheapest. Ties: higher log-probability.
std::size_t choose(std::span<const Judged> judged, std::span<const double> cost, double full_accuracy,
                   const Objective& objective);

/// The index of the most accurate; ties: higher log-probability.
std::size_t most_accurate(std::span<const Judged> judged);

/// Placements that nobody measured: the rule of thumb (layer 2 and the middle one, TidalDecode, arXiv
/// 2410.05076, section 3.2) and `n_random` drawn ones with as many selection layers as `chosen`, all with its
/// settings.
std::vector<Candidate> rule_of_thumb_and_random(const CandidateSpace& space, const Candidate& chosen,
                                                int n_random, std::uint64_t seed);

}  // namespace tide
