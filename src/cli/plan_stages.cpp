#include "cli/plan_stages.h"

#include "analysis/plan_page.h"
#include "analysis/statistics.h"
#include "analysis/sweep_summary.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calibrate/head_map_meter.h"
#include "calibrate/text_blocks.h"
#include "cli/plan_latency.h"
#include "search/evaluator.h"
#include "search/judge.h"
#include "search/placement_search.h"
#include "task/text_source.h"

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

}  // namespace

SweepPlan samples_of(const PlanWork& work, std::int64_t wanted, std::uint64_t seed,
                     const std::vector<std::string>& policies) {
  const PlanOptions& options = work.options;
  const Model& model = *work.session.model;
  const auto n_depths = std::ssize(make_plan(config_of(options, 1, seed, {"full"}), model).samples);
  return make_plan(config_of(options, (wanted + n_depths - 1) / n_depths, seed, policies), model);
}

namespace {

/// The file of the head map made of plain text; empty after a signal.
std::string made_map(const PlanWork& work) {
  const PlanOptions& options = work.options;
  const fs::path file = options.out / "headmap.json";
  if (fs::exists(file)) return file.string();
  const Model& model = *work.session.model;
  constexpr std::int64_t kBlocks = 8, kRows = 32;
  const std::int64_t length = std::min<std::int64_t>(1024, model.config().max_positions - 1);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < kRows; ++i) rows.push_back(length / 2 + i * (length / 2) / kRows);
  HeadMapMeter meter(model.config(), rows);
  const std::string name = options.text.empty() ? "the King James Bible" : options.text.string();
  const std::string text = options.text.empty() ? king_james_text() : to_valid_utf8(read_text(options.text));
  const auto blocks = draw_blocks(model.tokenizer(), text, name, {kBlocks, length, options.model.seed});
  Progress progress("head map");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (interrupted()) return "";
    work.session.decoder->prefill(blocks[i], &meter);
    progress.update(static_cast<std::int64_t>(i + 1), kBlocks);
  }
  HeadMap map = meter.head_map();
  map.model_sha256 = model.sha256();
  map.made_from = fmt::format("{} rows of {} blocks of {} positions of {}, seed {}", kBlocks * kRows, kBlocks,
                              length, name, options.model.seed);
  write_head_map(file, map);
  return file.string();
}

SweepHooks hooks_for(Progress& progress) {
  SweepHooks hooks;
  hooks.interrupted = interrupted;
  hooks.progress = [&](auto done, auto total) { progress.update(done, total); };
  return hooks;
}

SearchOptions search_options(const PlanWork& work, std::int64_t n_samples) {
  const PlanOptions& options = work.options;
  SearchOptions search;
  search.space = {work.session.model->config().n_layers, options.first, options.max_select,
                  !options.any_first};
  search.exhaustive = options.exhaustive;
  search.beam = options.beam;
  // Most placements are poor: a fifth of the samples tells those.
  const std::int64_t few = std::max<std::int64_t>(n_samples / 5, 1), half = std::max(n_samples / 2, few);
  search.race.blocks = {few};
  for (const std::int64_t end : {half, n_samples})
    if (end > search.race.blocks.back()) search.race.blocks.push_back(end);
  return search;
}

std::vector<SearchLevel> search(PlanWork& work) {
  Progress progress("search");
  SweepPlan plan = samples_of(work, work.options.samples, work.options.model.seed, {"full"});
  Evaluator evaluator(
      *work.session.decoder, std::move(plan), work.options.out / "search.csv",
      [&](const Candidate& candidate) {
        return bind_policy(work.spec(candidate, true), *work.session.model);
      },
      hooks_for(progress));
  auto levels =
      search_placements(search_options(work, evaluator.n_samples()),
                        [&](std::span<const Candidate> candidates, std::int64_t begin, std::int64_t end) {
                          return evaluator.measure(candidates, begin, end);
                        });
  if (evaluator.stopped()) levels.clear();
  return levels;
}

/// The leader of each level, judged by its answers to the search's samples; and which to take.
struct Choice {
  std::vector<Judged> judged;  ///< full attention, then the levels' leaders
  std::size_t level = 0;
};

std::optional<Choice> choose_level(PlanWork& work, const std::vector<SearchLevel>& levels,
                                   const std::optional<PlanLatency>& latency) {
  std::vector<std::string> policies = {"full"};
  for (const SearchLevel& level : levels)
    policies.push_back(work.spec(level.standings.front().candidate, true));
  Progress progress("choice");
  const SweepPlan plan = samples_of(work, work.options.samples, work.options.model.seed, policies);
  Choice choice;
  choice.judged = judge(*work.session.decoder, plan, work.options.out / "choice.csv", hooks_for(progress));
  if (choice.judged.empty()) return std::nullopt;
  const auto leaders = std::span(choice.judged).subspan(1);
  std::vector<double> cost;
  for (const Judged& one : leaders) {
    cost.push_back(work.options.cost == "latency" ? latency->predict_ms(work, one.policy) : one.rows_read);
  }
  choice.level = choose(leaders, cost, choice.judged.front().accuracy(), work.options.floor);
  return choice;
}

/// Placements that the latency model is checked on: the leaders and drawn ones.
std::vector<Candidate> held_out(const PlanWork& work, const std::vector<SearchLevel>& levels) {
  const CandidateSpace space{work.session.model->config().n_layers, work.options.first,
                             work.options.max_select, !work.options.any_first};
  const Candidate& last = levels.back().standings.front().candidate;
  std::vector<Candidate> placements = rule_of_thumb_and_random(space, last, 3, work.options.model.seed + 7);
  placements.push_back(last);
  return placements;
}

struct Rival {
  std::string what, spec;
};

std::vector<Rival> rivals_of(const PlanWork& work, const std::vector<SearchLevel>& levels,
                             std::size_t chosen) {
  const PlanOptions& options = work.options;
  const Candidate& best = levels[chosen].standings.front().candidate;
  std::vector<Rival> rivals = {{"full attention", "full"}, {"chosen", work.spec(best, true)}};
  if (!work.map.empty()) rivals.push_back({"chosen, same head", work.spec(best, false)});
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Candidate& leader = levels[i].standings.front().candidate;
    if (i != chosen)
      rivals.push_back({fmt::format("best with {}", levels[i].n_select), work.spec(leader, true)});
  }
  const CandidateSpace space{work.session.model->config().n_layers, options.first, options.max_select,
                             !options.any_first};
  const auto others = rule_of_thumb_and_random(space, best, options.n_random, options.model.seed);
  for (std::size_t i = 0; i < others.size(); ++i) {
    const std::string what = i == 0 ? "rule of thumb" : fmt::format("random placement {}", i);
    rivals.push_back({what, work.spec(others[i], true)});
    if (i == 0 && !work.map.empty()) rivals.push_back({what + ", same head", work.spec(others[i], false)});
  }
  rivals.push_back({"oracle", "oracle:budget=" + options.budget});
  return rivals;
}

/// Answers to samples that the search has not seen, as a run's folder of its own.
std::vector<Judged> validate(PlanWork& work, const std::vector<Rival>& rivals) {
  const PlanOptions& options = work.options;
  std::vector<std::string> policies;
  for (const Rival& rival : rivals) policies.push_back(rival.spec);
  const SweepPlan plan = samples_of(work, options.validate, options.model.seed + 1, policies);
  const fs::path folder = options.out / "validation";
  fs::create_directories(folder);
  write_text_atomically(folder / "config.toml", to_toml(plan.config));
  Progress progress("validation");
  return judge(*work.session.decoder, plan, folder / "results.csv", hooks_for(progress));
}

nlohmann::json json_of(const Judged& judged, const std::string& what) {
  const auto interval = analysis::wilson_interval(judged.n_correct, judged.n);
  return {{"what", what},
          {"policy", judged.policy},
          {"n", judged.n},
          {"correct", judged.n_correct},
          {"accuracy", judged.accuracy()},
          {"low", interval.low},
          {"high", interval.high},
          {"rows_read", judged.rows_read},
          {"answer_logprob", judged.answer_logprob}};
}

nlohmann::json json_of(const SearchLevel& level) {
  nlohmann::json standings = nlohmann::json::array();
  for (const Standing& standing : level.standings) {
    standings.push_back({{"select", standing.candidate.select},
                         {"samples", standing.worth.size()},
                         {"answer_logprob", standing.mean()},
                         {"rows_read", standing.rows_read}});
  }
  return {{"select_layers", level.n_select}, {"exhaustive", level.exhaustive}, {"placements", standings}};
}

/// The file that every command takes: `placement=@FILE`.
std::string placement_file(const PlanWork& work, const AttentionPolicy& policy, const nlohmann::json& chosen,
                           const nlohmann::json& full) {
  std::string text = "# tidegauge plan: use it as --policy '<method>:placement=@THIS_FILE'\n";
  const auto quoted = [](const std::string& value) { return nlohmann::json(value).dump(); };
  text += fmt::format("placement = {}\nbudget = {}\nsharing = {}\nmap = {}\npolicy = {}\n",
                      quoted(placement_letters(policy.placement())), quoted(policy.budget()),
                      quoted(policy.sharing()), quoted(work.map), quoted(policy.canonical()));
  text += fmt::format(
      "\n[evidence]\nmodel_sha256 = {}\ntask = {}\nlength = {}\nvalidation_samples = {}\naccuracy = {:.4f}\n"
      "accuracy_low = {:.4f}\naccuracy_high = {:.4f}\nfull_attention_accuracy = {:.4f}\nrows_read = {:.1f}\n"
      "search_samples = {}\n",
      quoted(work.session.model->sha256()), quoted(work.options.task), work.options.length,
      chosen["n"].get<int>(), chosen["accuracy"].get<double>(), chosen["low"].get<double>(),
      chosen["high"].get<double>(), full["accuracy"].get<double>(), chosen["rows_read"].get<double>(),
      work.options.samples);
  return text;
}

}  // namespace

bool run_plan_stages(PlanWork& work, nlohmann::json& result) {
  const PlanOptions& options = work.options;
  if (options.map == "auto") work.map = work.timed("head_map", [&] { return made_map(work); });
  const auto levels = work.timed("search", [&] { return search(work); });
  if (levels.empty() || interrupted()) return false;
  std::optional<PlanLatency> latency;
  if (options.latency_steps > 0) {
    latency = work.timed("latency", [&] { return measure_plan_latency(work, held_out(work, levels)); });
    if (!latency) return false;
    result["latency"] = latency->report;
  }
  const auto choice = work.timed("choice", [&] { return choose_level(work, levels, latency); });
  if (!choice) return false;
  const auto rivals = rivals_of(work, levels, choice->level);
  const auto judged = work.timed("validation", [&] { return validate(work, rivals); });
  if (judged.empty()) return false;
  for (const SearchLevel& level : levels) result["search"].push_back(json_of(level));
  for (const Judged& one : choice->judged) result["choice"].push_back(json_of(one, ""));
  for (std::size_t i = 0; i < judged.size(); ++i) {
    result["validation"].push_back(json_of(judged[i], rivals[i].what));
    if (latency && rivals[i].what != "oracle")
      result["validation"].back()["predicted_ms"] = latency->predict_ms(work, rivals[i].spec);
  }
  result["seconds"] = work.seconds;
  result["map"] = work.map;
  result["chosen"] = levels[choice->level].standings.front().candidate.select;
  result["n_layers"] = work.session.model->config().n_layers;
  result["task"] = options.task;
  result["length"] = options.length;
  result["budget"] = options.budget;
  const auto policy = bind_policy(rivals[1].spec, *work.session.model);
  write_text_atomically(options.out / "placement.toml",
                        placement_file(work, *policy, result["validation"][1], result["validation"][0]));
  write_text_atomically(options.out / "plan.json", result.dump(1) + "\n");
  analysis::summarise_sweep(options.out / "validation");
  analysis::write_plan_page(options.out);
  return true;
}

}  // namespace tide::cli
