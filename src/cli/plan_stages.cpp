#include "cli/plan_stages.h"

#include "analysis/plan_page.h"
#include "analysis/sweep_summary.h"
#include "base/file.h"
#include "base/head_map.h"
#include "base/json_fields.h"
#include "cli/plan_evidence.h"
#include "cli/plan_latency.h"
#include "cli/plan_output.h"
#include "cli/plan_search.h"
#include "cli/plan_validate.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

SweepConfig config_of(const PlanOptions& options, std::int64_t samples, std::uint64_t seed,
                      std::vector<std::string> policies) {
  SweepConfig config;
  config.model = options.model.model.string();
  config.dtype = options.model.dtype;
  config.kv_dtype = options.model.kv_dtype;
  config.device = options.model.device;
  config.raw = options.model.raw;
  config.tasks = {options.task};
  config.lengths = {options.length};
  config.depths = options.depths;
  config.samples = samples;
  config.seeds = {static_cast<std::int64_t>(seed)};
  config.text = options.text.string();
  config.policies = std::move(policies);
  config.batch = options.batch;
  return config;
}

/// Placements that the latency model is checked on: a leader and drawn ones.
std::vector<Candidate> held_out(const PlanWork& work, const std::vector<BudgetSearch>& searches) {
  const Candidate& leader = searches.front().levels.back().standings.front().candidate;
  std::vector<Candidate> placements =
      rule_of_thumb_and_random(work.space(), leader, 3, work.options.model.seed + 7);
  placements.push_back(leader);
  return placements;
}

/// The chosen map under a name of its own: what else was looked at can go.
void keep_chosen_map(PlanWork& work, PlanChoice& choice) {
  const Candidate& chosen = choice.finalists[choice.chosen].candidate;
  const auto name = chosen.settings.find("map");
  if (name == chosen.settings.end() || name->second == "none" || name->second == "file") return;
  auto& file = work.maps.files.at(name->second).at(map_unit(chosen.settings.at("sharing")));
  const fs::path kept = work.options.out / "headmap.json";
  write_text_atomically(kept, read_text(file));
  file = kept;
}

/// What a head's own sets hold, as the maps' maker wrote it; null for maps of others.
nlohmann::json own_mass_of(const std::string& map) {
  if (map.empty()) return nullptr;
  const auto root = read_json(map);
  return root.contains("evidence") && root["evidence"].contains("own_mass") ? root["evidence"]["own_mass"]
                                                                            : nlohmann::json();
}

void tell_settings(const PlanWork& work, const Candidate& chosen, nlohmann::json& result) {
  const PlanOptions& options = work.options;
  const auto policy = bind_policy(work.spec(chosen), *work.session.model);
  result["map"] = policy->map();
  result["own_mass"] = own_mass_of(policy->map());
  result["chosen"] = chosen.select;
  result["settings"] = chosen.settings;
  result["budget"] = chosen.settings.at("budget");
  for (const SettingAxis& axis : work.settings(chosen.settings.at("budget")).axes)
    result["searched"][axis.name] = axis.values;
  result["searched"]["budget"] = options.budgets;
  result["objective"] = {{"cost", options.cost}};
  if (options.cost_at_most)
    result["objective"]["cost_at_most"] = *options.cost_at_most;
  else
    result["objective"]["floor"] = options.floor;
  result["criterion"] = options.criterion;
  result["n_layers"] = work.session.model->config().n_layers;
  result["task"] = options.task;
  result["length"] = options.length;
}

}  // namespace

SweepPlan samples_of(const PlanWork& work, std::int64_t wanted, std::uint64_t seed,
                     const std::vector<std::string>& policies) {
  const PlanOptions& options = work.options;
  const Model& model = *work.session.model;
  const auto n_depths = std::ssize(make_plan(config_of(options, 1, seed, {"full"}), model).samples);
  return make_plan(config_of(options, (wanted + n_depths - 1) / n_depths, seed, policies), model);
}

SweepHooks hooks_for(Progress& progress) {
  SweepHooks hooks;
  hooks.interrupted = interrupted;
  hooks.progress = [&](auto done, auto total) { progress.update(done, total); };
  return hooks;
}

bool run_plan_stages(PlanWork& work, nlohmann::json& result) {
  const PlanOptions& options = work.options;
  const auto evidence = work.timed("evidence", [&] { return measure_evidence(work); });
  if (!evidence) return false;
  const auto searches = work.timed("search", [&] { return search_budgets(work, *evidence); });
  if (searches.empty() || interrupted()) return false;
  std::optional<PlanLatency> latency;
  if (options.latency_steps > 0) {
    latency = work.timed("latency", [&] { return measure_plan_latency(work, held_out(work, searches)); });
    if (!latency) return false;
    result["latency"] = latency->report;
  }
  auto choice = work.timed("choice", [&] { return choose_candidate(work, searches, latency); });
  if (!choice) return false;
  const PredictMs predict_ms = [&](const std::string& spec) {
    return latency ? std::optional(latency->predict_ms(work, spec)) : std::nullopt;
  };
  result["frontier"] = frontier_json(*choice, predict_ms);
  result["choice"] = nlohmann::json::array({json_of({"full attention", "", {}, choice->full}, predict_ms)});
  for (const Finalist& one : choice->compared)
    result["choice"].push_back(json_of({"", "", one.candidate, one.judged}, predict_ms));
  keep_chosen_map(work, *choice);
  auto rivals = rivals_of(work, *choice, *evidence);
  if (!work.timed("validation", [&] { return validate(work, rivals); })) return false;
  for (const BudgetSearch& search : searches) {
    for (const SearchLevel& level : search.levels) result["search"].push_back(json_of(search, level));
  }
  for (const Rival& rival : rivals) result["validation"].push_back(json_of(rival, predict_ms));
  result["smallest"] = smallest_budgets(options, rivals);
  result["evidence"] = evidence->report;
  result["seconds"] = work.seconds;
  const Candidate& chosen = choice->finalists[choice->chosen].candidate;
  tell_settings(work, chosen, result);
  write_text_atomically(options.out / "placement.toml",
                        placement_file(work, chosen, result["validation"][1], result["validation"][0]));
  write_text_atomically(options.out / "plan.json", result.dump(1) + "\n");
  analysis::summarise_sweep(options.out / "validation");
  analysis::write_plan_page(options.out);
  return true;
}

}  // namespace tide::cli
