#include "cli/plan_output.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/statistics.h"

namespace tide::cli {

namespace {

using nlohmann::json;

void add_judged(json& out, const Judged& judged) {
  const auto interval = analysis::wilson_interval(judged.n_correct, judged.n);
  out.update({{"policy", judged.policy},
              {"n", judged.n},
              {"correct", judged.n_correct},
              {"accuracy", judged.accuracy()},
              {"low", interval.low},
              {"high", interval.high},
              {"rows_read", judged.rows_read},
              {"answer_logprob", judged.answer_logprob}});
}

void add_candidate(json& out, const Candidate& candidate) {
  out.update(
      {{"candidate", candidate.text()}, {"select", candidate.select}, {"settings", candidate.settings}});
}

void add_latency(json& out, const PredictMs& predict_ms, const std::string& policy) {
  // The model knows layers that read everything, choose, or read what was chosen.
  if (policy.starts_with("oracle")) return;
  if (const auto ms = predict_ms(policy)) out["predicted_ms"] = *ms;
}

std::string quoted(const std::string& value) { return json(value).dump(); }

}  // namespace

json json_of(const BudgetSearch& search, const SearchLevel& level) {
  json standings = json::array();
  for (const Standing& standing : level.standings) {
    json one = {{"samples", standing.worth.size()},
                {"agree", standing.agree},
                {"answer_logprob", standing.answer_logprob},
                {"rows_read", standing.rows_read}};
    add_candidate(one, standing.candidate);
    standings.push_back(std::move(one));
  }
  return {{"budget", search.budget},
          {"select_layers", level.n_select},
          {"exhaustive", level.exhaustive},
          {"placements", standings}};
}

json frontier_json(const PlanChoice& choice, const PredictMs& predict_ms) {
  json frontier = json::array();
  for (std::size_t i = 0; i < choice.finalists.size(); ++i) {
    const Finalist& finalist = choice.finalists[i];
    const auto at = std::find(choice.frontier.begin(), choice.frontier.end(), i);
    json one = {{"cost", finalist.cost},
                {"on_frontier", at != choice.frontier.end()},
                {"chosen", i == choice.chosen}};
    add_candidate(one, finalist.candidate);
    add_judged(one, finalist.judged);
    add_latency(one, predict_ms, finalist.judged.policy);
    frontier.push_back(std::move(one));
  }
  return frontier;
}

json json_of(const Rival& rival, const PredictMs& predict_ms) {
  json out = {{"what", rival.what}};
  if (rival.candidate) add_candidate(out, *rival.candidate);
  add_judged(out, rival.judged);
  add_latency(out, predict_ms, rival.judged.policy);
  return out;
}

json smallest_budgets(const PlanOptions& options, const std::vector<Rival>& rivals) {
  const double wanted = options.floor * rivals.front().judged.accuracy();
  json list = json::array();
  for (int n_select = 1; n_select <= options.max_select; ++n_select) {
    const Rival* smallest = nullptr;
    for (const Rival& rival : rivals) {
      const bool searched = rival.what == "chosen" || rival.what.starts_with("best with");
      if (!searched || std::ssize(rival.candidate->select) != n_select || rival.judged.accuracy() < wanted)
        continue;
      const auto positions = [&](const Rival& of) {
        return budget_positions(of.candidate->settings.at("budget"), options.length);
      };
      if (!smallest || positions(rival) < positions(*smallest)) smallest = &rival;
    }
    json one = {{"select_layers", n_select}, {"budget", nullptr}};
    if (smallest) {
      one["budget"] = smallest->candidate->settings.at("budget");
      add_candidate(one, *smallest->candidate);
      add_judged(one, smallest->judged);
    }
    list.push_back(std::move(one));
  }
  return list;
}

std::string placement_file(const PlanWork& work, const Candidate& chosen, const json& validated,
                           const json& full) {
  const auto policy = bind_policy(work.spec(chosen), *work.session.model);
  std::string text = fmt::format(
      "# tidegauge plan: --policy @THIS_FILE takes the whole policy, --policy '{}:placement=@THIS_FILE' the "
      "placement\nplacement = {}\nbudget = {}\nsharing = {}\nmap = {}\npolicy = {}\n\n[settings]\n",
      work.method.name, quoted(placement_letters(policy->placement())), quoted(policy->budget()),
      quoted(policy->sharing()), quoted(policy->map()), quoted(policy->canonical()));
  for (const auto& [name, value] : chosen.settings) text += fmt::format("{} = {}\n", name, quoted(value));
  text += fmt::format(
      "\n[evidence]\nmodel_sha256 = {}\ntask = {}\nlength = {}\nvalidation_samples = {}\naccuracy = {:.4f}\n"
      "accuracy_low = {:.4f}\naccuracy_high = {:.4f}\nfull_attention_accuracy = {:.4f}\nrows_read = {:.1f}\n"
      "search_samples = {}\n",
      quoted(work.session.model->sha256()), quoted(work.options.task), work.options.length,
      validated["n"].get<int>(), validated["accuracy"].get<double>(), validated["low"].get<double>(),
      validated["high"].get<double>(), full["accuracy"].get<double>(), validated["rows_read"].get<double>(),
      work.options.samples);
  return text;
}

}  // namespace tide::cli
