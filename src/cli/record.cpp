// record: a prompt into one file, or a task's samples into a folder, one file a sample.

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"
#include "cli/decode_loop.h"
#include "cli/offload_options.h"
#include "cli/recorded_decode.h"
#include "cli/version.h"
#include "record/reader.h"
#include "record/recorder.h"
#include "task/evidence.h"
#include "task/task.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  ModelOptions model;
  PromptOptions prompt;
  OffloadOptions offload;
  std::string task;
  fs::path text;
  std::int64_t samples = 1, length = 1024;
  std::string depths = "0.5";
  std::string maps = "full", layers, prefill_rows, compress = "none";
  bool shadow = false, force = false, json = false;
  double max_gb = 50;
  fs::path out;
};

/// `full`, `none`, `topk:K`.
void set_maps(const std::string& text, RecorderOptions& recorder) {
  if (text == "full") {
    recorder.maps = MapsMode::full;
  } else if (text == "none") {
    recorder.maps = MapsMode::none;
  } else if (text.starts_with("topk:")) {
    recorder.maps = MapsMode::top_k;
    recorder.top_k = static_cast<int>(parse_integer(text.substr(5), "--maps topk"));
    if (recorder.top_k < 1) fail_input("--maps {}: expected at least 1 position", text);
  } else {
    fail_input("--maps '{}': expected full, topk:K or none", text);
  }
}

/// `0+5+9`, `0-31`, or `last:N` of the prompt's positions that the prefill passes.
std::vector<std::int64_t> parse_rows(const std::string& text, std::int64_t prefilled) {
  if (text.empty()) return {};
  if (!text.starts_with("last:")) return parse_index_list(text, prefilled, "--prefill-rows", "position");
  const std::int64_t count =
      std::min<std::int64_t>(parse_integer(text.substr(5), "--prefill-rows last"), prefilled);
  if (count < 1) fail_input("--prefill-rows {}: expected at least 1 row", text);
  std::vector<std::int64_t> rows;
  for (std::int64_t row = prefilled - count; row < prefilled; ++row) rows.push_back(row);
  return rows;
}

/// One prompt to be recorded.
struct Job {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> evidence;  ///< positions that carry a task's answer
  std::int64_t steps;
  std::uint64_t seed;
  fs::path out;
};

class Recording {
 public:
  Recording(const Options& options, std::string config)
      : options_(options),
        config_(std::move(config)),
        session_(open_session(options.model)),
        policy_(bind_policy(options.prompt.policy, *session_.model)) {
    ObserverWants wants;
    wants.shadow_prob = options.shadow;
    rows_are_dropped(*policy_, wants);  // refused here, before a prefill
    check_offload(options.offload, *policy_);
    if (!options.prefill_rows.empty() && !policy_->prefill_rule().is_dense()) {
      fail_input(
          "--prefill-rows {}: records full attention's rows, and policy {} has the prompt passed sparsely",
          options.prefill_rows, policy_->canonical());
    }
  }

  const Session& session() const { return session_; }

  /// True when the file is there already, made with the same configuration.
  bool is_done(const fs::path& out) const {
    if (!fs::exists(out) || options_.force) return false;
    const RecordingReader existing(out);
    if (existing.info().config_toml == config_ && existing.info().complete) return true;
    fail_input("output {}: exists with another configuration; name another file or use --force",
               out.string());
  }

  /// Facts of the recording; null when a signal cut it short. Then it keeps its .part name: under the
  /// final one the same command would take it for finished.
  nlohmann::json run(const Job& job, const std::string& label) {
    const RecorderOptions recorder_options = recorder_options_of(job);
    const auto prompt_len = static_cast<std::int64_t>(job.ids.size());
    const std::uint64_t estimate =
        estimate_bytes(recorder_options, session_.model->config(), prompt_len, job.steps);
    std::fprintf(stderr, "%s: %lld prompt tokens, at most %lld steps, about %s before compression\n",
                 job.out.c_str(), static_cast<long long>(prompt_len), static_cast<long long>(job.steps),
                 human_bytes(static_cast<double>(estimate)).c_str());
    RecordingOrigin origin = recording_origin(*session_.model, *policy_, job.ids, job.seed, config_);
    origin.evidence = job.evidence;
    Recorder recorder(recorder_options, std::move(origin), job.steps);
    auto prompt = prefill(job, recorder);
    const auto sequence =
        fork_prompt(session_, options_.offload, prompt, policy_, job.steps, job.seed, &recorder);
    const double prefill_ms = prompt->prefill_ms;
    prompt.reset();  // what evicts or is offloaded needs its rows no more
    PromptOptions decoding = options_.prompt;
    decoding.steps = job.steps;
    Progress progress(label);
    const DecodeResult result = decode_recorded(*session_.decoder, *sequence, decoding, job.seed, recorder,
                                                [&] { progress.update(sequence->step(), job.steps); });
    if (interrupted() && !result.ended && sequence->step() < job.steps) {
      const std::string part = part_path(job.out).string();
      fmt::print(stderr,
                 "tidegauge: interrupted: {} of {} steps are in {}; `tidegauge inspect {} --recover FILE` "
                 "keeps them, "
                 "the same command starts anew\n",
                 sequence->step(), job.steps, part, part);
      return nullptr;
    }
    recorder.finish();
    return facts(job, prefill_ms, *sequence, result, recorder.at_cap());
  }

 private:
  RecorderOptions recorder_options_of(const Job& job) const {
    const ModelConfig& config = session_.model->config();
    RecorderOptions recorder;
    recorder.path = job.out;
    set_maps(options_.maps, recorder);
    if (!options_.layers.empty()) {
      recorder.layers.assign(static_cast<std::size_t>(config.n_layers), false);
      for (const std::int64_t layer :
           parse_index_list(options_.layers, config.n_layers, "--layers", "layer")) {
        recorder.layers[static_cast<std::size_t>(layer)] = true;
      }
    }
    recorder.prefill_rows = parse_rows(options_.prefill_rows, static_cast<std::int64_t>(job.ids.size()) - 1);
    recorder.shadow = options_.shadow;
    recorder.tier = !options_.offload.folder.empty();
    recorder.compression = options_.compress == "deflate" ? Compression::deflate : Compression::none;
    recorder.max_bytes = static_cast<std::uint64_t>(options_.max_gb * 1e9);
    return recorder;
  }

  std::shared_ptr<const Prompt> prefill(const Job& job, Recorder& recorder) {
    Progress progress("prefill");
    const auto total = static_cast<std::int64_t>(job.ids.size()) - 1;
    return session_.decoder->prefill(
        job.ids, &recorder, [&](std::int64_t done) { progress.update(done, total); }, policy_->prompt_needs(),
        policy_.get());
  }

  nlohmann::json facts(const Job& job, double prefill_ms, const Sequence& sequence,
                       const DecodeResult& result, bool capped) const {
    const ModelConfig& config = session_.model->config();
    const double reads = static_cast<double>(sequence.step()) * config.n_layers * config.n_kv_heads;
    nlohmann::json facts = {{"file", job.out.string()},
                            {"bytes", fs::file_size(job.out)},
                            {"prompt_tokens", sequence.prompt_len()},
                            {"steps", sequence.step()},
                            {"capped", capped},
                            {"text", session_.model->tokenizer().decode(result.ids)},
                            {"policy", policy_->canonical()},
                            {"placement", placement_letters(policy_->placement())},
                            {"prefill_ms", prefill_ms},
                            {"decode_ms_per_token", result.decode_ms / static_cast<double>(sequence.step())},
                            {"rows_read", static_cast<double>(sequence.rows_read()) / reads}};
    if (sequence.tier() != nullptr)
      facts["tier"] = tier_facts(*sequence.tier(), static_cast<double>(sequence.step()));
    return facts;
  }

  const Options& options_;
  std::string config_;
  Session session_;
  std::shared_ptr<const AttentionPolicy> policy_;
};

void tell(const Options& options, const nlohmann::json& files) {
  if (options.json) {
    print_json({{"recordings", files}});
    return;
  }
  for (const auto& file : files) {
    std::printf("%s: %lld steps, %s, %.1f ms a token, %.0f rows read a layer and KV head%s\n",
                file.at("file").get<std::string>().c_str(), file.at("steps").get<long long>(),
                human_bytes(file.at("bytes").get<double>()).c_str(),
                file.at("decode_ms_per_token").get<double>(), file.at("rows_read").get<double>(),
                file.at("capped").get<bool>() ? ", stopped at the cap" : "");
  }
}

void record_prompt(const Options& options, const std::string& config) {
  Recording recording(options, config);
  if (recording.is_done(options.out)) {
    std::fprintf(stderr, "%s: is there already, made with the same configuration\n", options.out.c_str());
    return;
  }
  if (options.out.has_parent_path()) fs::create_directories(options.out.parent_path());
  const auto ids = prompt_ids(options.prompt, recording.session().model->tokenizer(), options.model.raw);
  const auto file = recording.run({ids, {}, options.prompt.steps, options.model.seed, options.out}, "record");
  if (!file.is_null()) tell(options, nlohmann::json::array({file}));
}

void record_task(const Options& options, const std::string& config, bool steps_given) {
  Recording recording(options, config);
  const auto task =
      make_task(options.task, {options.text, options.model.raw}, recording.session().model->tokenizer());
  prepare_output_folder(options.out, config, options.force);
  const Decoder& decoder = *recording.session().decoder;
  write_text_atomically(options.out / "machine.json",
                        machine_facts(decoder.n_threads(), decoder.cpus()).dump(2) + "\n");
  std::vector<double> depths;
  for (const std::string& depth : split(options.depths, '+'))
    depths.push_back(parse_number(depth, "--depths"));
  nlohmann::json files = nlohmann::json::array();
  for (std::int64_t i = 0; i < options.samples && !interrupted(); ++i) {
    SampleSpec spec{task->has_length() ? options.length : 0, std::nullopt, i, options.model.seed};
    if (task->has_depth()) spec.depth = depths[static_cast<std::size_t>(i) % depths.size()];
    const Sample sample = task->sample(spec);
    const fs::path out = options.out / (sample.id() + ".h5");
    if (recording.is_done(out)) continue;
    const std::int64_t steps =
        steps_given || sample.max_new_tokens == 0 ? options.prompt.steps : sample.max_new_tokens;
    const Job job{sample.prompt_ids, evidence_positions(recording.session().model->tokenizer(), sample),
                  steps, sample.random_seed(), out};
    const auto file = recording.run(job, fmt::format("record {}/{}", i + 1, options.samples));
    if (!file.is_null()) files.push_back(file);
  }
  tell(options, files);
}

void run(const Options& options, const CLI::App& command) {
  const std::string config = resolved_config(command);
  if (options.task.empty()) {
    record_prompt(options, config);
  } else if (!options.prompt.prompt.empty() || !options.prompt.prompt_file.empty()) {
    fail_input("record: --task makes its own prompts; leave out --prompt and --prompt-file");
  } else {
    record_task(options, config, command.count("--steps") > 0);
  }
}

void add_recording_options(CLI::App& command, Options& options) {
  const auto group = "Recording";
  command.add_option("--out", options.out, "The file; with --task the folder")->required()->group(group);
  command.add_option("--maps", options.maps, "Attention maps: full, topk:K or none")
      ->capture_default_str()
      ->group(group);
  command.add_option("--layers", options.layers, "Layers to record, 0-3+8; left out: all")->group(group);
  command
      .add_option("--prefill-rows", options.prefill_rows,
                  "Prompt rows whose attention is recorded: 0-31+90 or last:N")
      ->group(group);
  command.add_flag("--shadow", options.shadow, "Full attention's weights beside a sparse policy's")
      ->group(group);
  command.add_option("--compress", options.compress, "Chunk compression")
      ->check(CLI::IsMember({"none", "deflate"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--max-gb", options.max_gb, "Stop cleanly before a file grows past this, in GB; 0: no cap")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--force", options.force, "Replace what is there")->group(group);
  command.add_flag("--json", options.json, "Result as JSON on stdout")->group(group);
}

void add_task_options(CLI::App& command, Options& options) {
  const auto group = "Task";
  command.add_option("--task", options.task, "Record samples of a task instead of a prompt")->group(group);
  command.add_option("--samples", options.samples, "Samples")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str()
      ->group(group);
  command.add_option("--length", options.length, "Prompt length in tokens")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->capture_default_str()
      ->group(group);
  command.add_option("--depths", options.depths, "Depths of the evidence, 0.1+0.5+0.9, taken in turn")
      ->capture_default_str()
      ->group(group);
  command.add_option("--text", options.text, "Running text; left out: the King James Bible")->group(group);
}

}  // namespace

void add_record(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("record", "Record attention maps and selected positions to HDF5");
  add_prompt_options(*command, options->prompt);
  add_task_options(*command, *options);
  add_recording_options(*command, *options);
  add_model_options(*command, options->model);
  add_offload_options(*command, options->offload);
  command->callback([options, command] { run(*options, *command); });
}

}  // namespace tide::cli
