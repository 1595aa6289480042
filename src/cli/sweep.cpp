// tidegauge sweep: many policies on the same samples, one prefill a sample.

#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/sweep_folder.h"
#include "cli/sweep_rows.h"
#include "cli/sweep_shards.h"
#include "cli/sweep_slurm.h"
#include "sweep/estimate.h"
#include "sweep/shard.h"

namespace tide::cli {

namespace {

/// Options whose value goes into the config as it is written: option name -> config key and help.
struct ConfigOption {
  const char* key;
  const char* help;
};
constexpr ConfigOption kConfigOptions[] = {
    {"tasks",
     "Tasks, comma-separated, see `tidegauge task` (default needle); alternatives with '|': 'kv:lines=5|10'"},
    {"lengths", "Prompt lengths in tokens, comma-separated (default 1024)"},
    {"depths", "Depths as shares of the text, comma-separated (default 0.1,0.3,0.5,0.7,0.9)"},
    {"samples", "Samples of each task, length, depth and seed (default 5)"},
    {"seeds", "Seeds of sample sets, comma-separated (default 0)"},
    {"text", "Text file that passages are taken from (default: the King James Bible)"},
    {"new_tokens", "Answer's tokens at most; 0: the task's own limit (default 0)"},
    {"question",
     "Where the question is seen: prefilled, with the text; decoded, under the policy (default prefilled)"},
    {"batch", "Rows decoded together at most; fewer where memory holds no more (default 64)"},
    {"memory", "Memory that the process may take: 8GB, 512M (default: what the machine has available)"},
    {"latency_steps", "Timed steps a policy at batch 1; 0: none (default 0)"},
    {"latency_lengths", "Prompt lengths of the latency measurement (default 1024)"},
};
constexpr const char* kModelKeys[] = {"model", "dtype", "kv_dtype", "device"};

std::string option_name(std::string key) {
  for (char& c : key) c = c == '_' ? '-' : c;
  return "--" + key;
}

/// Settings from --set, then from the options that were given, which win.
Settings settings_of(const CLI::App& command, const SweepOptions& options) {
  Settings settings;
  for (const std::string& pair : options.set) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) fail_input("--set {}: expected key=value", pair);
    settings.push_back({pair.substr(0, equals), {pair.substr(equals + 1)}});
  }
  const auto add = [&](const std::string& option, const std::string& key) {
    if (command.count(option) > 0) settings.push_back({key, {command[option]->as<std::string>()}});
  };
  for (const ConfigOption& option : kConfigOptions) add(option_name(option.key), option.key);
  for (const char* key : kModelKeys) add(option_name(key), key);
  add("--seed", "seeds");
  if (options.output_error) settings.push_back({"output_error", {"true"}});
  if (options.model.raw) settings.push_back({"raw", {"true"}});
  if (!options.policies.empty()) settings.push_back({"policies", options.policies});
  return settings;
}

Session open_configured(const SweepConfig& config, ModelOptions options) {
  options.model = config.model;
  options.dtype = config.dtype;
  options.kv_dtype = config.kv_dtype;
  options.device = config.device;
  return open_session(options);
}

/// `n_shards`: 0 for a sweep that is not cut.
void print_plan(const SweepPlan& plan, const SweepEstimate& estimate, std::int64_t n_shards, bool json) {
  const auto minutes = estimate.seconds / 60;
  if (json) {
    print_json({{"policies", plan.config.policies},
                {"shards", n_shards},
                {"samples", plan.samples.size()},
                {"rows", plan.n_rows()},
                {"estimated_seconds_at_most", estimate.seconds},
                {"prefill_ms", estimate.prefill_ms},
                {"row_step_ms", estimate.row_step_ms},
                {"batch", estimate.batch},
                {"row_bytes", estimate.row_bytes},
                {"prompt_bytes", estimate.prompt_bytes},
                {"peak_memory_bytes_at_most", estimate.peak_bytes},
                {"memory_limit_bytes", estimate.limit_bytes},
                {"disk_bytes_at_most", estimate.disk_bytes}});
    return;
  }
  for (const std::string& policy : plan.config.policies) std::printf("%s\n", policy.c_str());
  const auto bytes = [](std::int64_t n) { return human_bytes(static_cast<double>(n)); };
  fmt::print(
      "{} configurations x {} samples = {} rows\n"
      "at most {:.1f} minutes: {:.0f} ms a prefill, {:.2f} ms a row and step (measured now); {} row steps if "
      "every answer runs to its limit\n"
      "batches of {} rows; memory at most {} of {}: {} a prompt with its reference, {} a row\n"
      "on disk at most {}\n",
      plan.policies.size(), plan.samples.size(), plan.n_rows(), minutes, estimate.prefill_ms,
      estimate.row_step_ms, estimate.row_steps, estimate.batch, bytes(estimate.peak_bytes),
      bytes(estimate.limit_bytes), bytes(estimate.prompt_bytes), bytes(estimate.row_bytes),
      bytes(estimate.disk_bytes));
  if (n_shards > 0) fmt::print("{} shards, each a job of its own\n", n_shards);
}

/// The whole sweep in this process.
void run_whole(const SweepOptions& options, Session& session, const SweepPlan& plan) {
  const auto lock = open_sweep_folder(options.out, to_toml(plan.config), SweepFolder::whole, options.force);
  write_machine(options.out, *session.decoder);
  const SweepOutcome outcome = run_rows(*session.decoder, plan, options.out);
  report_rows(outcome, options.out);
  report_results(options, outcome.found + outcome.written,
                 {{"rows", outcome.total},
                  {"found", outcome.found},
                  {"written", outcome.written},
                  {"failed", outcome.failed},
                  {"complete", outcome.complete()}});
}

/// What stands in each other's way, told before a model is loaded.
void check_options(const SweepOptions& options) {
  if (!options.dry_run && options.out.empty()) fail_input("--out: name the folder of the results");
  if (!options.shard.empty()) parse_shard(options.shard);
  const bool slurm = options.launcher == "slurm";
  for (const std::string& pair : options.set) {
    if (options.slurm && pair.starts_with("slurm."))
      fail_input("--set {}: --slurm {} takes the place of the config's table", pair, options.slurm->string());
  }
  if (options.slurm && !slurm) fail_input("--slurm {}: needs --launcher slurm", options.slurm->string());
  if ((options.merge ? 1 : 0) + (slurm ? 1 : 0) + (options.shard.empty() ? 0 : 1) > 1)
    fail_input("--shard, --merge and --launcher slurm: expected one of them");
  if (slurm && !options.dry_run) require_slurm();
}

void launch(const SweepOptions& options, const SlurmOptions& slurm, Session session, SweepPlan plan) {
  const auto count = slurm_shards(options, slurm, std::ssize(plan.samples));
  const ShardedSweep sweep = cut_sweep(plan, count);
  // The machine that jobs are submitted from waits for hours: it keeps no model meanwhile.
  plan = {};
  session = {};
  run_slurm(options, slurm, sweep);
}

void run(const CLI::App& command, const SweepOptions& options) {
  const SweepConfig config = load_sweep_config(options.config, settings_of(command, options));
  check_options(options);
  const SlurmOptions slurm = options.slurm ? load_slurm_options(*options.slurm) : config.slurm;
  Session session = open_configured(config, options.model);
  SweepPlan plan = make_plan(config, *session.model);
  if (options.dry_run) {
    const std::int64_t n_shards =
        options.launcher == "slurm" ? slurm_shards(options, slurm, std::ssize(plan.samples)) : 0;
    if (!options.shard.empty()) keep_shard(plan, parse_shard(options.shard));
    print_plan(plan, estimate_sweep(*session.decoder, plan), n_shards, options.json);
  } else if (options.launcher == "slurm") {
    launch(options, slurm, std::move(session), std::move(plan));
  } else if (options.merge) {
    run_merge(options, plan);
  } else if (!options.shard.empty()) {
    run_shard(options, session, std::move(plan));
  } else {
    run_whole(options, session, plan);
  }
}

}  // namespace

void add_sweep(CLI::App& root) {
  auto options = std::make_shared<SweepOptions>();
  CLI::App* command =
      root.add_subcommand("sweep", "Run many policies on the same samples, with one prefill a sample");
  add_model_options(*command, options->model);
  command->add_option("--config", options->config, "TOML file that describes the sweep")
      ->type_name("FILE.toml");
  command->add_option("--set", options->set, "key=value on top of the config; may be given again")
      ->type_name("KEY=VALUE");
  command->add_option(
      "--policy,--policies", options->policies,
      "Policy spec, alternatives with '|': 'tidal:budget=32|64,select=2+8|2+14'; may be given "
      "again; replaces the config's");
  for (const ConfigOption& option : kConfigOptions) command->add_option(option_name(option.key), option.help);
  command->add_option("--out", options->out,
                      "Folder of the results; an interrupted run of the same config continues");
  command->add_flag("--output-error", options->output_error,
                    "Also measure how far each layer's attention output is from full attention's "
                    "(output_error.csv); costs full attention in every layer");
  command->add_flag("--dry-run", options->dry_run,
                    "List the configurations, the rows and the time they take; decode none");
  command
      ->add_option("--shard", options->shard, "Run one shard of the sweep, I of N, into a folder below --out")
      ->type_name("I/N");
  command->add_flag("--merge", options->merge,
                    "Put shards that have been run together as one run would have written them");
  command
      ->add_option("--launcher", options->launcher,
                   "Where rows are decoded: here, or as a job array on a Slurm cluster")
      ->check(CLI::IsMember({"local", "slurm"}))
      ->capture_default_str();
  command->add_option("--slurm", options->slurm, "TOML file with a table [slurm], in place of the config's")
      ->type_name("FILE.toml");
  command->add_flag("--force", options->force, "Start anew in a folder that holds another run");
  command->add_flag("--json", options->json, "Machine-readable result on stdout");
  command->callback([command, options] { run(*command, *options); });
}

}  // namespace tide::cli
