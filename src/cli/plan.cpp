// plan: a placement of selection layers for a task and a budget, found on some samples, validated on others.

#include <chrono>
#include <cstdio>

#include "analysis/statistics.h"
#include "analysis/sweep_summary.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calibrate/head_map_meter.h"
#include "calibrate/text_blocks.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"
#include "search/evaluator.h"
#include "search/judge.h"
#include "search/placement_search.h"
#include "task/text_source.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  ModelOptions model;
  std::string task = "needle", method = "tidal:recent=16,sinks=4", budget = "64", map = "auto";
  std::int64_t length = 1024, samples = 20, validate = 100, batch = 128, exhaustive = 500;
  std::vector<double> depths = {0.1, 0.3, 0.5, 0.7, 0.9};
  fs::path text, out;
  int max_select = 2, first = 2, beam = 6, n_random = 3;
  bool any_first = false, force = false, json = false;
  double floor = 0.95;
};

/// A command's stages share these.
struct Work {
  const Options& options;
  Session session;
  std::string map;  ///< file of the head map in use; empty: none
  nlohmann::json seconds;

  std::string spec(const Candidate& candidate, bool mapped) const {
    std::string spec = options.method + (options.method.find(':') == std::string::npos ? ":" : ",");
    spec += "budget=" + options.budget + ",select=" + candidate.text();
    return mapped && !map.empty() ? spec + ",map=@" + map : spec;
  }
  template <typename F>
  auto timed(const char* stage, const F& run) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = run();
    seconds[stage] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }
};

SweepConfig config_of(const Options& options, std::int64_t samples, std::uint64_t seed,
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

/// At least `wanted` samples of the task: the same number at each depth.
SweepPlan samples_of(const Work& work, std::int64_t wanted, std::uint64_t seed,
                     const std::vector<std::string>& policies) {
  const Options& options = work.options;
  const Model& model = *work.session.model;
  const auto n_depths = std::ssize(make_plan(config_of(options, 1, seed, {"full"}), model).samples);
  return make_plan(config_of(options, (wanted + n_depths - 1) / n_depths, seed, policies), model);
}

/// The file of the head map: the user's, or one made of plain text.
std::string head_map_of(Work& work) {
  const Options& options = work.options;
  if (options.map == "none") return "";
  if (options.map.starts_with('@')) return options.map.substr(1);
  if (options.map != "auto") fail_input("--map {}: expected auto, none or @FILE", options.map);
  const fs::path file = options.out / "headmap.json";
  if (fs::exists(file)) return file.string();
  constexpr std::int64_t kBlocks = 8, kLength = 1024, kRows = 32;
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < kRows; ++i) rows.push_back(kLength / 2 + i * (kLength / 2) / kRows);
  HeadMapMeter meter(work.session.model->config(), rows);
  const auto blocks = draw_blocks(work.session.model->tokenizer(), king_james_text(), "the King James Bible",
                                  {kBlocks, kLength, options.model.seed});
  Progress progress("head map");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (interrupted()) return "";
    work.session.decoder->prefill(blocks[i], &meter);
    progress.update(static_cast<std::int64_t>(i + 1), kBlocks);
  }
  HeadMap map = meter.head_map();
  map.model_sha256 = work.session.model->sha256();
  map.made_from = fmt::format("{} rows of {} blocks of {} positions of the King James Bible, seed {}",
                              kBlocks * kRows, kBlocks, kLength, options.model.seed);
  write_head_map(file, map);
  return file.string();
}

SweepHooks hooks_for(Progress& progress) {
  SweepHooks hooks;
  hooks.interrupted = interrupted;
  hooks.progress = [&](auto done, auto total) { progress.update(done, total); };
  return hooks;
}

SearchOptions search_options(const Work& work, std::int64_t n_samples) {
  const Options& options = work.options;
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

std::vector<SearchLevel> search(Work& work) {
  Progress progress("search");
  SweepPlan plan = samples_of(work, work.options.samples, work.options.model.seed, {"full"});
  Evaluator evaluator(
      *work.session.decoder, std::move(plan), work.options.out / "search.csv",
      [&](const Candidate& candidate) { return work.spec(candidate, true); }, hooks_for(progress));
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

std::optional<Choice> choose_level(Work& work, const std::vector<SearchLevel>& levels) {
  std::vector<std::string> policies = {"full"};
  for (const SearchLevel& level : levels)
    policies.push_back(work.spec(level.standings.front().candidate, true));
  Progress progress("choice");
  const SweepPlan plan = samples_of(work, work.options.samples, work.options.model.seed, policies);
  Choice choice;
  choice.judged = judge(*work.session.decoder, plan, work.options.out / "choice.csv", hooks_for(progress));
  if (choice.judged.empty()) return std::nullopt;
  const auto leaders = std::span(choice.judged).subspan(1);
  choice.level = choose(leaders, choice.judged.front().accuracy(), work.options.floor);
  return choice;
}

struct Rival {
  std::string what, spec;
};

std::vector<Rival> rivals_of(const Work& work, const std::vector<SearchLevel>& levels, std::size_t chosen) {
  const Options& options = work.options;
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
std::vector<Judged> validate(Work& work, const std::vector<Rival>& rivals) {
  const Options& options = work.options;
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
std::string placement_file(const Work& work, const AttentionPolicy& policy, const nlohmann::json& chosen,
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

void tell(const Options& options, const nlohmann::json& result) {
  if (options.json) {
    print_json(result);
    return;
  }
  fmt::print("{:<28} {:>9} {:>15} {:>10}  policy\n", "validation", "accuracy", "95 % interval", "rows read");
  for (const auto& rival : result["validation"]) {
    fmt::print("{:<28} {:>9.2f} {:>7.2f} - {:.2f} {:>11.1f}  {}\n", rival["what"].get<std::string>(),
               rival["accuracy"].get<double>(), rival["low"].get<double>(), rival["high"].get<double>(),
               rival["rows_read"].get<double>(), rival["policy"].get<std::string>());
  }
  fmt::print("placement: {}\n", (options.out / "placement.toml").string());
}

/// True when it ran to its end.
bool run_stages(Work& work, nlohmann::json& result) {
  const Options& options = work.options;
  work.map = work.timed("head_map", [&] { return head_map_of(work); });
  const auto levels = work.timed("search", [&] { return search(work); });
  if (levels.empty() || interrupted()) return false;
  const auto choice = work.timed("choice", [&] { return choose_level(work, levels); });
  if (!choice) return false;
  const auto rivals = rivals_of(work, levels, choice->level);
  const auto judged = work.timed("validation", [&] { return validate(work, rivals); });
  if (judged.empty()) return false;
  for (const SearchLevel& level : levels) result["search"].push_back(json_of(level));
  for (const Judged& one : choice->judged) result["choice"].push_back(json_of(one, ""));
  for (std::size_t i = 0; i < judged.size(); ++i)
    result["validation"].push_back(json_of(judged[i], rivals[i].what));
  result["seconds"] = work.seconds;
  result["map"] = work.map;
  const auto policy = bind_policy(rivals[1].spec, *work.session.model);
  write_text_atomically(options.out / "placement.toml",
                        placement_file(work, *policy, result["validation"][1], result["validation"][0]));
  write_text_atomically(options.out / "plan.json", result.dump(1) + "\n");
  analysis::summarise_sweep(options.out / "validation");
  return true;
}

void run(const Options& options, const CLI::App& command) {
  Work work{options, open_session(options.model), "", {}};
  // What cannot be decoded is told before a folder is made.
  bind_policy(work.spec({{options.first}}, false), *work.session.model);
  samples_of(work, options.validate, options.model.seed + 1, {"full"});
  prepare_output_folder(options.out, resolved_config(command), options.force);
  write_text_atomically(
      options.out / "machine.json",
      machine_facts(work.session.decoder->n_threads(), work.session.decoder->cpus()).dump(2) + "\n");
  nlohmann::json result;
  if (run_stages(work, result)) {
    tell(options, result);
    return;
  }
  fmt::print(stderr, "tidegauge: interrupted; the same command continues in {}\n", options.out.string());
}

}  // namespace

void add_plan(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "plan", "Find a placement of selection layers for a task and a budget, and validate it");
  command->add_option("--task", options->task, "Task, see `tidegauge task`")->capture_default_str();
  command->add_option("--length", options->length, "Prompt length (tokens)")->capture_default_str();
  command->add_option("--depths", options->depths, "Depths as shares of the text, comma-separated")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--text", options->text,
                      "Text file that passages are taken from (default: the King James Bible)");
  command
      ->add_option("--method", options->method,
                   "Policy spec of a method that reuses chosen sets, without budget, placement and map")
      ->capture_default_str();
  command->add_option("--budget", options->budget, "Positions a set holds, or a share: 64, 5%")
      ->capture_default_str();
  command->add_option("--map", options->map, "Head map: auto (made of plain text), none, @FILE")
      ->capture_default_str();
  command->add_option("--select-layers", options->max_select, "Selection layers at most")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--first", options->first, "The first selection layer; those before it read everything")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_flag("--any-first", options->any_first,
                    "The first selection layer may stand anywhere behind --first");
  command->add_option("--floor", options->floor, "Share of full attention's accuracy that is wanted")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Samples that the search uses")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--validate", options->validate, "Samples that the chosen placement is validated on")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--random", options->n_random, "Random placements beside it in the validation")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command
      ->add_option(
          "--exhaustive", options->exhaustive,
          "All placements of a number of selection layers are looked at when they are no more than this")
      ->capture_default_str();
  command->add_option("--beam", options->beam, "Else: placements that are extended and altered")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Rows decoded together")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 16))
      ->capture_default_str();
  command->add_option("--out", options->out, "Folder of the plan; an interrupted one continues")->required();
  command->add_flag("--force", options->force, "Start anew in a folder that holds something else");
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  add_model_options(*command, options->model);
  command->callback([options, command] { run(*options, *command); });
}

}  // namespace tide::cli
