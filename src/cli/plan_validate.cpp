#include "cli/plan_validate.h"

#include <fmt/format.h>

#include <cmath>

#include "base/file.h"

namespace tide::cli {

namespace {

class Rivals {
 public:
  Rivals(const PlanWork& work, const PlanChoice& choice, const PlanEvidence& evidence)
      : work_(work),
        choice_(choice),
        evidence_(evidence),
        chosen_(choice.finalists[choice.chosen].candidate) {}

  std::vector<Rival> all() {
    add("full attention", std::string("full"));
    add("chosen", chosen_);
    if (is_mapped(chosen_)) add("chosen, same head", same_head(chosen_));
    add_other_maps();
    add_finalists();
    const auto select = evidence_.placements.find(static_cast<int>(chosen_.select.size()));
    if (select != evidence_.placements.end()) add("kascade DP", Candidate{select->second, chosen_.settings});
    add_unmeasured();
    add(work_.method.name + " as published", work_.method.name + ":budget=" + budget(chosen_));
    add_oracles();
    return std::move(rivals_);
  }

 private:
  void add(std::string what, std::string spec) { rivals_.push_back({std::move(what), std::move(spec)}); }
  void add(std::string what, const Candidate& candidate) {
    rivals_.push_back({std::move(what), work_.spec(candidate), candidate});
  }
  static std::string budget(const Candidate& candidate) { return candidate.settings.at("budget"); }
  static bool is_mapped(const Candidate& candidate) {
    const auto map = candidate.settings.find("map");
    return map != candidate.settings.end() && map->second != "none";
  }
  static Candidate same_head(Candidate candidate) {
    candidate.settings["map"] = "none";
    return candidate;
  }

  /// The chosen candidate with the map of the other source, for sets of the same size.
  void add_other_maps() {
    if (!is_mapped(chosen_)) return;
    const std::string map = chosen_.settings.at("map"), k = map.substr(map.find('-') + 1);
    for (const auto& [source, words] : {std::pair("text", "text"), std::pair("task", "the task")}) {
      Candidate other = chosen_;
      other.settings["map"] = source + ("-" + k);
      if (other != chosen_ && work_.maps.files.contains(other.settings["map"]))
        add(fmt::format("chosen, map of {}", words), other);
    }
  }

  /// The best of each other budget and number of selection layers.
  void add_finalists() {
    for (std::size_t i = 0; i < choice_.finalists.size(); ++i) {
      if (i == choice_.chosen) continue;
      const Candidate& candidate = choice_.finalists[i].candidate;
      const std::string what = fmt::format("best with {}", candidate.select.size());
      add(work_.options.budgets.size() == 1 ? what : what + " at " + budget(candidate), candidate);
    }
  }

  void add_unmeasured() {
    const auto others =
        rule_of_thumb_and_random(work_.space(), chosen_, work_.options.n_random, work_.options.model.seed);
    for (std::size_t i = 0; i < others.size(); ++i) {
      const std::string what = i == 0 ? "rule of thumb" : fmt::format("random placement {}", i);
      add(what, others[i]);
      if (i == 0 && is_mapped(chosen_)) add(what + ", same head", same_head(others[i]));
    }
  }

  /// At the chosen budget, and at the one with which it reads as many rows as the chosen candidate.
  void add_oracles() {
    add("oracle", "oracle:budget=" + budget(chosen_));
    const double n_layers = work_.session.model->config().n_layers, whole = 2 * choice_.full.rows_read;
    const double of_oracle = choice_.oracle.rows_read * n_layers - whole,
                 of_chosen = choice_.finalists[choice_.chosen].judged.rows_read * n_layers - whole;
    // Of the first budget's oracle: its layers but 0 and 1, which read everything.
    const double at = static_cast<double>(budget_positions(choice_.oracle_budget, work_.options.length));
    if (of_oracle <= 0 || of_chosen <= 0) return;
    const auto positions = std::llround(at * of_chosen / of_oracle);
    if (positions > 0 && positions < work_.options.length)
      add("oracle, as many rows", fmt::format("oracle:budget={}", positions));
  }

  const PlanWork& work_;
  const PlanChoice& choice_;
  const PlanEvidence& evidence_;
  const Candidate& chosen_;
  std::vector<Rival> rivals_;
};

}  // namespace

std::vector<Rival> rivals_of(const PlanWork& work, const PlanChoice& choice, const PlanEvidence& evidence) {
  return Rivals(work, choice, evidence).all();
}

bool validate(PlanWork& work, std::vector<Rival>& rivals) {
  const PlanOptions& options = work.options;
  std::vector<std::string> policies;
  for (const Rival& rival : rivals) policies.push_back(rival.spec);
  const SweepPlan plan = samples_of(work, options.validate, options.model.seed + 1, policies);
  const auto folder = options.out / "validation";
  std::filesystem::create_directories(folder);
  write_text_atomically(folder / "config.toml", to_toml(plan.config));
  Progress progress("validation");
  const auto judged = judge(*work.session.decoder, plan, folder / "results.csv", hooks_for(progress));
  if (judged.empty()) return false;
  for (Rival& rival : rivals) rival.judged = judged_of(work, rival.spec, judged);
  return true;
}

}  // namespace tide::cli
