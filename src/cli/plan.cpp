// plan: a placement of selection layers for a task and a budget, found on some samples, validated on others.

#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_lock.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"
#include "cli/plan_stages.h"

namespace tide::cli {

namespace {

void tell(const PlanOptions& options, const nlohmann::json& result) {
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
  fmt::print("chosen: {}\n", result["validation"][1]["candidate"].get<std::string>());
  fmt::print("placement: {}\nreport: {}\n", (options.out / "placement.toml").string(),
             (options.out / "report.html").string());
}

/// What decides a plan: its options, and what the files that they name hold.
std::string fingerprint(const PlanWork& work, const CLI::App& command) {
  std::string text = resolved_config(command);
  text += fmt::format("# model {}\n", work.session.model->sha256());
  std::vector<std::filesystem::path> files = {work.options.text};
  if (work.options.map.starts_with('@')) files.emplace_back(work.options.map.substr(1));
  for (const std::filesystem::path& file : files) {
    if (!file.empty()) text += fmt::format("# {} {}\n", file.string(), sha256_of_file(file));
  }
  return text;
}

/// With --force another plan's folder is begun anew: rows of its stages would be taken for this one's.
/// Held for as long as the plan is made: one run at a time writes it. Throws InputError.
std::unique_ptr<FolderLock> open_folder(const PlanOptions& options, const std::string& config) {
  check_output_folder(options.out, config, options.force);
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) fail_input("output {}: {}", options.out.string(), error.message());
  auto lock = std::make_unique<FolderLock>(options.out);
  const auto file = options.out / "config.toml";
  const bool exists = std::filesystem::exists(file);
  if (options.force && exists && read_text(file).starts_with("# tidegauge plan") &&
      read_text(file) != config) {
    for (const char* made : {"headmap.json", "evidence.json", "search.csv", "choice.csv", "plan.json",
                             "placement.toml", "report.html"})
      std::filesystem::remove(options.out / made);
    for (const char* made : {"headmaps", "validation"}) std::filesystem::remove_all(options.out / made);
  }
  prepare_output_folder(options.out, config, options.force);
  return lock;
}

/// What cannot be decoded is told before a folder is made: every budget, and every value of every setting.
void check_candidates(const PlanWork& work) {
  for (const std::string& budget : work.options.budgets) {
    bind_policy("oracle:budget=" + budget,
                *work.session.model);  // a rival, and tells what is wrong with a budget
    const SettingSpace space = work.settings(budget);
    std::vector<Candidate> candidates = {{{work.options.first}, space.first()}};
    for (Candidate& other : space.changed(candidates)) candidates.push_back(std::move(other));
    for (Candidate& candidate : candidates) {
      const auto map = candidate.settings.find("map");
      if (map != candidate.settings.end() && map->second != "file") map->second = "none";  // made later
      bind_policy(work.spec(candidate), *work.session.model);
    }
  }
}

void run(const PlanOptions& options, const CLI::App& command) {
  if (options.cost == "latency" && options.latency_steps == 0)
    fail_input("--cost latency: needs --latency-steps above 0");
  if (options.cost_at_most && command.count("--floor") > 0)
    fail_input("--cost-at-most: is a goal of its own, --floor another");
  PlanMethod method = PlanMethod::parse(options.method);
  PlanMaps maps = plan_maps(options.map, options.map_k, options.out, method);
  PlanWork work{options, open_session(options.model), std::move(method), std::move(maps)};
  check_candidates(work);
  const SweepPlan samples = samples_of(work, options.validate, options.model.seed + 1, {"full"});
  const Task& task = *samples.tasks.front();
  if (!task.score(task.sample(samples.samples.front().spec), "").correct)
    fail_input("--task {}: its answers are neither right nor wrong, which a floor of accuracy needs",
               options.task);
  const auto lock = open_folder(options, fingerprint(work, command));
  write_text_atomically(
      options.out / "machine.json",
      machine_facts(work.session.decoder->n_threads(), work.session.decoder->cpus()).dump(2) + "\n");
  nlohmann::json result;
  if (run_plan_stages(work, result)) {
    tell(options, result);
    return;
  }
  fmt::print(stderr, "tidegauge: interrupted; the same command continues in {}\n", options.out.string());
}

}  // namespace

void add_plan(CLI::App& root) {
  auto options = std::make_shared<PlanOptions>();
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
                   "Method that reuses chosen sets: tidal, kascade, lessismore, omnikv. Settings given are "
                   "fixed (tidal:recent=4) or chosen among (tidal:recent=4|8); others are chosen")
      ->capture_default_str();
  command
      ->add_option("--budget", options->budgets,
                   "Positions a set holds, or shares, comma-separated: 16,32,5%")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option(
          "--map", options->map,
          "Head maps to choose among: auto or text (made of plain text; none as well), task (made of "
          "the search's samples), text+task, none, @FILE")
      ->capture_default_str();
  command
      ->add_option("--map-k", options->map_k,
                   "Top positions that a map is made for, comma-separated: one map for each")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 16))
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
  command
      ->add_option("--cost-at-most", options->cost_at_most,
                   "In place of --floor: the most accurate that costs no more, in what --cost counts")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--cost", options->cost, "What is kept low: K/V rows read, or a step's predicted latency")
      ->check(CLI::IsMember({"rows", "latency"}))
      ->capture_default_str();
  command
      ->add_option("--latency-steps", options->latency_steps,
                   "Timed steps of each placement that the latency model is fitted to; 0: no model")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Samples that the search uses")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command
      ->add_option("--choice", options->choice,
                   "Samples on which the leaders' answers are compared, the search's among them")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command
      ->add_option("--criterion", options->criterion,
                   "What the search goes by, teacher-forced: agree (share of the answer's tokens decoded as "
                   "full attention does), logprob")
      ->check(CLI::IsMember({"agree", "logprob"}))
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
  command
      ->add_option("--search", options->search,
                   "Placements: exhaustive, beam, greedy (a layer added, layers taken away), auto (all where "
                   "there are no more than --exhaustive, else beam)")
      ->check(CLI::IsMember({"auto", "exhaustive", "beam", "greedy"}))
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
