#include "cli/plan_search.h"

#include <algorithm>

#include "analysis/figures.h"
#include "base/error.h"
#include "search/evaluator.h"

namespace tide::cli {

namespace {

/// Leaders of each budget and number of selection layers whose answers are compared.
constexpr int kCompared = 6;
/// Placements of a larger budget that a smaller one's search begins with.
constexpr int kBeginWith = 8;

SearchMode mode_of(const std::string& search) {
  return search == "exhaustive" ? SearchMode::exhaustive
         : search == "beam"     ? SearchMode::beam
         : search == "greedy"   ? SearchMode::greedy
                                : SearchMode::automatic;
}

SearchOptions search_options(const PlanWork& work, std::int64_t n_samples, const PlanEvidence& evidence) {
  const PlanOptions& options = work.options;
  SearchOptions search{.space = work.space()};
  search.mode = mode_of(options.search);
  search.exhaustive = options.exhaustive;
  search.beam = options.beam;
  for (const auto& [n_select, layers] : evidence.placements) search.proposed[n_select] = {layers};
  // Most candidates are poor: a fifth of the samples tells those.
  const std::int64_t few = std::max<std::int64_t>(n_samples / 5, 1), half = std::max(n_samples / 2, few);
  search.race.blocks = {few};
  for (const std::int64_t end : {half, n_samples})
    if (end > search.race.blocks.back()) search.race.blocks.push_back(end);
  return search;
}

/// Settings of another budget as far as this one has them.
MethodSettings carried(const MethodSettings& from, const SettingSpace& space) {
  MethodSettings settings = space.first();
  for (const SettingAxis& axis : space.axes) {
    const auto value = from.find(axis.name);
    if (value == from.end()) continue;
    MethodSettings tried = settings;
    tried[axis.name] = value->second;
    const bool is_there =
        std::find(axis.values.begin(), axis.values.end(), value->second) != axis.values.end();
    if (is_there && (!space.fit || space.fit(tried))) settings = tried;
  }
  return settings;
}

std::map<int, std::vector<Candidate>> begin_with(const std::vector<SearchLevel>& levels,
                                                 const SettingSpace& space) {
  std::map<int, std::vector<Candidate>> begin;
  for (const SearchLevel& level : levels) {
    for (const Candidate& leader : leaders(level.standings, kBeginWith))
      begin[level.n_select].push_back({leader.select, carried(leader.settings, space)});
  }
  return begin;
}

std::vector<std::string> from_the_largest(const PlanOptions& options) {
  auto budgets = options.budgets;
  std::stable_sort(budgets.begin(), budgets.end(), [&](const std::string& a, const std::string& b) {
    return budget_positions(a, options.length) > budget_positions(b, options.length);
  });
  return budgets;
}

}  // namespace

std::vector<BudgetSearch> search_budgets(PlanWork& work, const PlanEvidence& evidence) {
  Progress progress("search");
  SweepHooks hooks = hooks_for(progress);
  hooks.keeper = &work.keeper;
  Evaluator evaluator(
      *work.session.decoder, samples_of(work, work.options.samples, work.options.model.seed, {"full"}),
      work.options.out / "search.csv",
      work.options.criterion == "logprob" ? Criterion::logprob : Criterion::agree,
      [&](const Candidate& candidate) { return bind_policy(work.spec(candidate), *work.session.model); },
      hooks);
  const auto measure = [&](std::span<const Candidate> candidates, std::int64_t begin, std::int64_t end) {
    return evaluator.measure(candidates, begin, end);
  };
  std::vector<BudgetSearch> searches;
  SearchOptions options = search_options(work, evaluator.n_samples(), evidence);
  for (const std::string& budget : from_the_largest(work.options)) {
    options.settings = work.settings(budget);
    if (!searches.empty()) options.begin_with = begin_with(searches.back().levels, options.settings);
    searches.push_back({budget, search_placements(options, measure)});
    if (evaluator.stopped()) return {};
  }
  return searches;
}

namespace {

/// What no other beats: cost against accuracy.
std::vector<std::size_t> frontier_of(const std::vector<Finalist>& finalists) {
  std::vector<analysis::FrontierPoint> points;
  for (const Finalist& one : finalists) {
    analysis::FrontierPoint point;
    point.x = one.cost;
    point.y = one.judged.accuracy();
    points.push_back(point);
  }
  return analysis::pareto_front(points);
}

/// The most accurate of each group of `compared`; groups are [begins[i], begins[i + 1]).
std::vector<Finalist> finalists_of(const std::vector<Finalist>& compared,
                                   const std::vector<std::size_t>& begins) {
  std::vector<Finalist> finalists;
  for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
    std::vector<Judged> group;
    for (std::size_t j = begins[i]; j < begins[i + 1]; ++j) group.push_back(compared[j].judged);
    finalists.push_back(compared[begins[i] + most_accurate(group)]);
  }
  return finalists;
}

std::size_t chosen_of(const PlanWork& work, const PlanChoice& choice) {
  std::vector<Judged> judged;
  std::vector<double> cost;
  for (const Finalist& one : choice.finalists) {
    judged.push_back(one.judged);
    cost.push_back(one.cost);
  }
  return choose(judged, cost, choice.full.accuracy(), work.options.objective());
}

}  // namespace

const Judged& judged_of(const PlanWork& work, const std::string& spec, std::span<const Judged> judged) {
  const std::string canonical = bind_policy(spec, *work.session.model)->canonical();
  const auto found =
      std::find_if(judged.begin(), judged.end(), [&](const Judged& one) { return one.policy == canonical; });
  TIDE_ASSERT(found != judged.end());
  return *found;
}

std::optional<PlanChoice> choose_candidate(PlanWork& work, const std::vector<BudgetSearch>& searches,
                                           const std::optional<PlanLatency>& latency) {
  PlanChoice choice;
  std::vector<std::size_t> begins = {0};
  for (const BudgetSearch& search : searches) {
    for (const SearchLevel& level : search.levels) {
      const std::size_t most_samples = level.standings.front().worth.size();
      for (const Standing& standing : level.standings) {
        const bool enough = choice.compared.size() == begins.back() + kCompared;
        if (enough || standing.worth.size() < most_samples) break;
        choice.compared.push_back({standing.candidate, {}, 0});
      }
      begins.push_back(choice.compared.size());
    }
  }
  choice.oracle_budget = searches.front().budget;
  std::vector<std::string> policies = {"full", "oracle:budget=" + choice.oracle_budget};
  for (const Finalist& one : choice.compared) policies.push_back(work.spec(one.candidate));
  Progress progress("choice");
  SweepHooks hooks = hooks_for(progress);
  hooks.keeper = &work.keeper;
  const auto judged =
      judge(*work.session.decoder, samples_of(work, work.options.choice, work.options.model.seed, policies),
            work.options.out / "choice.csv", hooks);
  if (judged.empty()) return std::nullopt;
  choice.full = judged_of(work, policies[0], judged);
  choice.oracle = judged_of(work, policies[1], judged);
  for (std::size_t i = 0; i < choice.compared.size(); ++i) {
    Finalist& one = choice.compared[i];
    one.judged = judged_of(work, policies[i + 2], judged);
    one.cost =
        work.options.cost == "latency" ? latency->predict_ms(work, one.judged.policy) : one.judged.rows_read;
  }
  choice.finalists = finalists_of(choice.compared, begins);
  choice.frontier = frontier_of(choice.finalists);
  choice.chosen = chosen_of(work, choice);
  return choice;
}

}  // namespace tide::cli
