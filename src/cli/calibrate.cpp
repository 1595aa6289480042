// calibrate: what a method needs to know of a model beforehand.

#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "calibrate/anchors.h"
#include "calibrate/channel_meter.h"
#include "calibrate/layer_similarity.h"
#include "calibrate/text_blocks.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/config_file.h"
#include "task/text_source.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  ModelOptions model;
  std::string method = "doublesparsity";
  fs::path text, out;
  BlockPlan blocks;
  int anchors = 5, k = 64;
  std::int64_t rows = 16;
  bool force = false, json = false;
};
constexpr const char* kOnlyKascade[] = {"--anchors", "--k", "--rows"};

/// True when the file is there already, made with the same configuration.
bool is_done(const Options& options, const std::string& config) {
  if (!fs::exists(options.out) || options.force) return false;
  const nlohmann::json root = read_json(options.out);
  const auto found = root.is_object() ? root.find("config_toml") : root.end();
  if (found != root.end() && *found == config) return true;
  fail_input("output {}: exists with another configuration; name another file or use --force",
             options.out.string());
}

/// Shows every block to the observer. False when a signal came before the end.
bool prefill_blocks(Session& session, const Options& options, DecodeObserver& observer,
                    const std::function<void()>& after_block = {}) {
  const bool given = !options.text.empty();
  const std::string text = given ? to_valid_utf8(read_text(options.text)) : king_james_text();
  const std::string name = given ? options.text.string() : "the King James Bible";
  const auto blocks = draw_blocks(session.model->tokenizer(), text, name, options.blocks);
  Progress progress("calibrate");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (interrupted()) {
      std::fprintf(stderr,
                   "tidegauge: interrupted: %zu of %zu blocks; nothing is written, the same command "
                   "starts anew\n",
                   i, blocks.size());
      return false;
    }
    session.decoder->prefill(blocks[i], &observer);
    if (after_block) after_block();
    progress.update(static_cast<std::int64_t>(i + 1), options.blocks.blocks);
  }
  return true;
}

std::string made_from(const Options& options) {
  return fmt::format("{} blocks of {} positions of {}, seed {}", options.blocks.blocks, options.blocks.length,
                     options.text.empty() ? "the King James Bible" : options.text.filename().string(),
                     options.blocks.seed);
}

void rank_channels(Session& session, const Options& options, const std::string& config) {
  const ModelConfig& model = session.model->config();
  ChannelMeter meter(model);
  const auto begin = std::chrono::steady_clock::now();
  if (!prefill_blocks(session, options, meter)) return;
  ChannelRanking ranking = meter.rank();
  ranking.model_sha256 = session.model->sha256();
  ranking.made_from = made_from(options);
  ranking.config_toml = config;
  write_channel_ranking(options.out, ranking);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const int strongest = std::max(1, model.head_dim / 16);
  nlohmann::json shares;
  for (std::size_t measure = 0; measure < ranking.rankings.size(); ++measure) {
    shares[ChannelRanking::kMeasures[measure]] =
        ChannelMeter::share_of_strongest(ranking, measure, strongest);
  }
  if (options.json) {
    print_json({{"out", options.out.string()},
                {"positions", meter.positions()},
                {"seconds", seconds.count()},
                {"strongest_channels", strongest},
                {"share_of_strongest", shares}});
    return;
  }
  fmt::print(
      "{}: channels of {} layers of {} heads, from {} positions in {:.0f} s\n"
      "the strongest {} of {} channels hold {:.0f} % of |q*k|, {:.0f} % of |q|, {:.0f} % of |k| "
      "(mean over heads)\n"
      "use it: --policy 'doublesparsity:calibration=@{}'\n",
      options.out.string(), model.n_layers, model.n_heads, meter.positions(), seconds.count(), strongest,
      model.head_dim, 100 * shares["qk"].get<double>(), 100 * shares["q"].get<double>(),
      100 * shares["k"].get<double>(), options.out.string());
}

/// Prompt positions whose attention is looked at: evenly over the second half of a block.
std::vector<std::int64_t> rows_of(const Options& options) {
  const std::int64_t half = options.blocks.length / 2, room = options.blocks.length - half;
  if (options.rows > room) {
    fail_input("--rows {}: blocks of {} positions have {} in their second half", options.rows,
               options.blocks.length, room);
  }
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < options.rows; ++i) rows.push_back(half + i * room / options.rows);
  return rows;
}

std::string plus_list(const std::vector<int>& layers) { return fmt::format("{}", fmt::join(layers, "+")); }

/// The anchors of the paper's model at the same depth of this one.
std::vector<int> paper_anchors(const Model& model) {
  std::vector<int> layers;
  const auto policy = bind_policy("kascade", model);
  const auto& placement = policy->placement();
  for (std::size_t layer = 0; layer < placement.size(); ++layer) {
    if (placement[layer] == Role::select || placement[layer] == Role::estimate)
      layers.push_back(static_cast<int>(layer));
  }
  return layers;
}

/// What searches find, and the paper's anchors, beside one another: `most` is an anchor at every layer.
nlohmann::json compared_anchors(const std::vector<std::vector<double>>& worth, const Anchors& dynamic,
                                const std::vector<int>& paper, double most) {
  const Anchors greedy = greedy_anchors(worth, static_cast<int>(dynamic.layers.size()));
  const std::pair<const char*, Anchors> found[] = {
      {"dynamic", dynamic}, {"greedy", greedy}, {"paper", {paper, worth_of(worth, paper)}}};
  nlohmann::json placements = nlohmann::json::array();
  for (const auto& [search, anchors] : found) {
    placements.push_back({{"search", search},
                          {"anchors", plus_list(anchors.layers)},
                          {"n_anchors", anchors.layers.size()},
                          {"value", anchors.value},
                          {"share_of_best", anchors.value / most}});
  }
  return placements;
}

void place_anchors(Session& session, const Options& options, const std::string& config) {
  const ModelConfig& model = session.model->config();
  if (options.anchors > model.n_layers) {
    fail_input("--anchors {}: the model has {} layers", options.anchors, model.n_layers);
  }
  LayerSimilarity meter(model, {options.k, rows_of(options)});
  const auto begin = std::chrono::steady_clock::now();
  if (!prefill_blocks(session, options, meter, [&] { meter.end_prompt(); })) return;
  HeadMap map = meter.head_map();
  const auto similarity = meter.similarity(map);
  const auto importance = meter.importance();
  auto worth = similarity;
  for (std::vector<double>& source : worth) {
    for (std::size_t layer = 0; layer < source.size(); ++layer) source[layer] *= importance[layer];
  }
  const Anchors anchors = best_anchors(worth, options.anchors);
  map.model_sha256 = session.model->sha256();
  map.made_from = made_from(options);
  map.config_toml = config;
  const double most = std::accumulate(importance.begin(), importance.end(), 0.0);
  map.evidence = nlohmann::json{
      {"anchors", anchors.layers},
      {"value", anchors.value},
      {"placements", compared_anchors(worth, anchors, paper_anchors(*session.model), most)},
      {"importance", importance},
      {"similarity",
       similarity}}.dump();
  write_head_map(options.out, map);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const std::string policy =
      fmt::format("kascade:select={},map=@{}", plus_list(anchors.layers), options.out.string());
  if (options.json) {
    print_json({{"out", options.out.string()},
                {"anchors", anchors.layers},
                {"share_of_best", anchors.value / most},
                {"importance", importance},
                {"seconds", seconds.count()},
                {"policy", policy}});
    return;
  }
  fmt::print(
      "{}: anchors {} and the head map of {} layers of {} KV heads, in {:.0f} s\n"
      "they keep {:.1f} % of what an anchor at every layer would (similarity weighted by importance)\n"
      "use it: --policy '{}'\n",
      options.out.string(), plus_list(anchors.layers), model.n_layers, model.n_kv_heads, seconds.count(),
      100 * anchors.value / most, policy);
}

void run(Options options, const CLI::App& command) {
  const std::string config = resolved_config(command);
  options.blocks.seed = options.model.seed;
  const bool kascade = options.method == "kascade";
  for (const char* name : kOnlyKascade) {
    if (!kascade && command.count(name) > 0) fail_input("{}: belongs to --method kascade", name);
  }
  if (is_done(options, config)) {
    std::fprintf(stderr, "%s: is there already, made with the same configuration\n", options.out.c_str());
    return;
  }
  Session session = open_session(options.model);
  if (options.out.has_parent_path()) fs::create_directories(options.out.parent_path());
  kascade ? place_anchors(session, options, config) : rank_channels(session, options, config);
}

}  // namespace

void add_calibrate(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("calibrate", "Measure beforehand what a method needs of a model");
  command
      ->add_option(
          "--method", options->method,
          "doublesparsity: channels ranked by layer and query head; kascade: anchor layers and a head map")
      ->check(CLI::IsMember({"doublesparsity", "kascade"}))
      ->capture_default_str();
  command->add_option("--text", options->text, "Running text; left out: the King James Bible");
  command->add_option("--blocks", options->blocks.blocks, "Blocks of text to prefill")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--block-length", options->blocks.length, "Positions a block")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  const auto kascade = "Kascade";
  command->add_option("--anchors", options->anchors, "Anchor layers, the first of them layer 0")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(kascade);
  command->add_option("--k", options->k, "Positions of a KV head that layers are compared by")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(kascade);
  command->add_option("--rows", options->rows, "Positions of a block at which they are compared")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str()
      ->group(kascade);
  command->add_option("--out", options->out, "The JSON file to write")->required();
  command->add_flag("--force", options->force, "Replace what is there");
  command->add_flag("--json", options->json, "Result as JSON on stdout");
  add_model_options(*command, options->model);
  command->callback([options, command] { run(*options, *command); });
}

}  // namespace tide::cli
