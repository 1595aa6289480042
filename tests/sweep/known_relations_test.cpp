// What must hold between the methods: at the same positions read, nothing comes nearer to full attention's
// output than the oracle, and nothing stays further from it than random positions.
//
// How they are compared. One layer at a time is sparse and every other one reads everything. Then the
// queries, keys and values of that layer are full attention's own, bit for bit, under every method (they come
// from the layers before it), and no layer that reads everything dilutes the mean. The text is real and its
// tokens are given. An error is ||o_method - o_full|| / ||o_full||, mean over three layers and over the steps
// at which the last of Quest's pages is full, so that it reads its whole budget; all methods read the same
// number of positions for each query head. SnapKV and OmniKV read besides what was generated, at most kPage
// positions: the oracle reads no more than any method does, and random no fewer. A method whose heads share
// sets reads fewer rows of a KV head than one with a set a head; so it is also compared with the oracle that
// shares as it does, at the same rows.
//
// What holds, on this text (errors at 64 and 128 positions): oracle 0.17 and 0.11, the methods 0.23 to 0.60
// and 0.15 to 0.51, random with the first four positions 0.84 and 0.71, without them 1.06 and 0.87. One
// method does better than the oracle: SparQ with the mean of all values for what it does not read, 0.16 and
// 0.10. It puts something into the output that no choice of positions can; without the mean (0.23 and 0.15)
// it is in line.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/error.h"
#include "calibrate/channel_meter.h"
#include "calibrate/text_blocks.h"
#include "decode/decoder.h"
#include "policy/registry.h"
#include "sweep/output_error.h"
#include "task/task.h"
#include "task/text_source.h"

namespace tide::testing {
namespace {

constexpr std::int64_t kPromptLen = 1024, kPage = 16;
const std::vector<int> kLayers = {6, 12, 21};

// Margins, each with what was measured.
constexpr double kOracleMargin = 0.95;  // of the nearest method's error: SparQ's without the mean, 0.88
constexpr double kMeanGains = 1.15;     // of SparQ's with it: 1.04
constexpr double kSinksMargin = 1.2;    // of the furthest method's error, TidalDecode's: 1.35
constexpr double kRandomMargin = 1.5;   // of the same: 1.6

/// A method as the one sparse layer has it: its letter there, its spec with {} for the budget, and what is
/// added to that.
struct Method {
  std::string name;
  char letter;
  std::string sharing, spec;
  std::int64_t more = 0;
};

const std::vector<Method> kMethods = {
    {"tidal", '.', "head", "tidal:budget={}"},
    {"lessismore", '.', "all", "lessismore:budget={}"},
    {"kascade", '.', "group", "kascade:budget={}"},
    {"kascade anchor", 'E', "group", "kascade:budget={}"},
    {"omnikv", '.', "all", "omnikv:budget={}"},
    {"quest", 'E', "head", "quest:budget={}"},
    {"tokenselect", 'E', "all", "tokenselect:budget={}"},
    {"doublesparsity", 'E', "head", "doublesparsity:budget={},calibration=@CHANNELS"},
    {"sparq", 'E', "group", "sparq:budget={}"},
    {"sparq, no mean", 'E', "group", "sparq:budget={},mean=off"},
    {"window", 'K', "all", "window:budget={}"},
    {"streaming", 'K', "all", "streaming:budget={}"},
    {"h2o", 'K', "group", "h2o:budget={}"},
    {"snapkv", 'K', "group", "snapkv:budget={}"},
};

/// `FFSFFFFF.FFF…`: a layer that reads what another chose has the selection layer of TidalDecode before it.
std::string placement_of(char letter, int layer, int n_layers) {
  std::string letters(static_cast<std::size_t>(n_layers), 'F');
  letters[static_cast<std::size_t>(layer)] = letter;
  if (letter == '.') letters[layer > 12 ? 12 : 2] = 'S';
  return letters;
}

/// The error of one layer at full pages, the positions read there by a query head, and the queries.
class OneLayer final : public DecodeObserver {
 public:
  OneLayer(const ModelConfig& config, int layer)
      : config_(config), layer_(layer), meter_(config.n_layers, config.n_heads * config.head_dim, 0) {}

  ObserverWants wants() const override {
    ObserverWants wants = meter_.wants();
    wants.query = true;
    wants.layers.assign(static_cast<std::size_t>(config_.n_layers), false);
    wants.layers[static_cast<std::size_t>(layer_)] = true;
    return wants;
  }
  void on_layer(const LayerEvent& event) override {
    if (event.kv_len % kPage != 0) return;
    meter_.on_layer(event);
    queries.insert(queries.end(), event.query, event.query + config_.n_heads * config_.head_dim);
    for (const std::int32_t set : event.read->set_of_head) {
      const std::int64_t count = event.read->count[static_cast<std::size_t>(set)];
      fewest = std::min(fewest, count);
      most = std::max(most, count);
    }
  }
  void on_step(const StepEvent&) override {}

  double error() const { return meter_.mean()[static_cast<std::size_t>(layer_)]; }

  std::vector<float> queries;
  std::int64_t fewest = kPromptLen * 2, most = 0;

 private:
  const ModelConfig& config_;
  int layer_;
  OutputErrorMeter meter_;
};

class KnownRelations : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* named = std::getenv("TIDEGAUGE_TEST_MODEL");
    const std::string path = named != nullptr ? named : TIDEGAUGE_TEST_MODEL;
    if (path.empty()) return why_not("no default model is installed");
    std::string text;
    try {
      text = king_james_text();
    } catch (const InputError& error) {
      return why_not(error.what());
    }
    model_ = load_model(path, WeightType::bf16);
    decoder_ = std::make_unique<Decoder>(model_, DecoderOptions{.n_threads = 2});
    rank_channels(text);
    const auto task = make_task("text", {.text = {}, .raw = true}, model_->tokenizer());
    sample_ = task->sample({.length = kPromptLen, .depth = {}, .index = 0, .seed = 0});
    prompt_ = decoder_->prefill(sample_.prompt_ids, nullptr, {}, {.last_queries = 32, .column_mass = true});
  }
  static void TearDownTestSuite() {
    prompt_.reset();
    decoder_.reset();
    model_.reset();
  }
  void SetUp() override {
    if (decoder_ == nullptr) GTEST_SKIP() << why_;
  }

  static void why_not(std::string why) { why_ = std::move(why); }

  static void rank_channels(const std::string& text) {
    ChannelMeter meter(model_->config());
    for (const auto& block :
         draw_blocks(model_->tokenizer(), text, "text", {.blocks = 1, .length = 512, .seed = 5}))
      decoder_->prefill(block, &meter);
    ChannelRanking ranking = meter.rank();
    ranking.model_sha256 = model_->sha256();
    channels_ = std::filesystem::path(::testing::TempDir()) / "known_relations_channels.json";
    write_channel_ranking(channels_, ranking);
  }

  static std::shared_ptr<const AttentionPolicy> policy_of(const Method& method, std::int64_t budget,
                                                          int layer) {
    std::string spec = method.spec;
    spec.replace(spec.find("{}"), 2, std::to_string(budget + method.more));
    if (const auto at = spec.find("CHANNELS"); at != std::string::npos)
      spec.replace(at, 8, channels_.string());
    spec += ",placement=" + placement_of(method.letter, layer, model_->config().n_layers);
    return make_policy(spec, {&model_->config(), model_->sha256()});
  }

  /// What each method does at each layer, decoded as one batch along the text.
  struct Measured {
    double error = 0;  // mean over layers
    std::int64_t fewest = kPromptLen * 2, most = 0;
  };
  static std::map<std::string, Measured> measure(const std::vector<Method>& methods, std::int64_t budget) {
    std::map<std::string, Measured> result;
    for (const int layer : kLayers) {
      std::vector<std::unique_ptr<OneLayer>> seen;
      std::vector<std::unique_ptr<Sequence>> forks;
      std::vector<Sequence*> rows;
      constexpr std::int64_t steps = kPage + 1;
      for (const Method& method : methods) {
        seen.push_back(std::make_unique<OneLayer>(model_->config(), layer));
        forks.push_back(
            decoder_->fork(prompt_, policy_of(method, budget, layer), steps, 7, seen.back().get()));
        rows.push_back(forks.back().get());
      }
      std::int32_t fed = prompt_->ids.back();
      for (std::int64_t step = 0; step < steps; ++step) {
        decoder_->step(rows, std::vector<std::int32_t>(rows.size(), fed));
        if (step + 1 < steps) fed = sample_.answer_ids[static_cast<std::size_t>(step)];
      }
      for (std::size_t i = 0; i < methods.size(); ++i) {
        EXPECT_EQ(seen[i]->queries, seen[0]->queries) << "another state under " << methods[i].name;
        Measured& of = result[methods[i].name];
        of.error += seen[i]->error() / static_cast<double>(kLayers.size());
        of.fewest = std::min(of.fewest, seen[i]->fewest);
        of.most = std::max(of.most, seen[i]->most);
      }
    }
    return result;
  }

  static inline std::shared_ptr<const Model> model_;
  static inline std::unique_ptr<Decoder> decoder_;
  static inline std::shared_ptr<const Prompt> prompt_;
  static inline Sample sample_;
  static inline std::filesystem::path channels_;
  static inline std::string why_;
};

TEST_F(KnownRelations, OracleIsNearestToFullAttentionAndRandomFurthest) {
  std::vector<Method> methods = kMethods;
  for (const std::string sharing : {"head", "group", "all"}) {
    methods.push_back({"oracle by " + sharing, 'E', sharing, "oracle:budget={},sharing=" + sharing});
    methods.push_back({"random by " + sharing, 'E', sharing, "random:budget={},sharing=" + sharing, kPage});
    methods.push_back({"random and sinks by " + sharing, 'E', sharing,
                       "random:budget={},sinks=4,sharing=" + sharing, kPage});
  }
  for (const std::int64_t budget : {64, 128}) {
    const auto measured = measure(methods, budget);
    for (const Method& method : kMethods) {
      SCOPED_TRACE(fmt::format("{} at {}", method.name, budget));
      const Measured of = measured.at(method.name);
      EXPECT_EQ(of.fewest, budget);
      EXPECT_LE(of.most, budget + kPage);
      const double best = measured.at("oracle by head").error;
      const double as_shared = measured.at("oracle by " + method.sharing).error;
      if (method.name == "sparq") {
        EXPECT_LE(best, kMeanGains * of.error);
      } else if (method.name == "kascade anchor") {  // chooses as the oracle of groups does
        EXPECT_EQ(as_shared, of.error);
        EXPECT_LE(best, kOracleMargin * of.error);
      } else {
        EXPECT_LE(best, kOracleMargin * of.error);
        EXPECT_LE(as_shared, kOracleMargin * of.error);
      }
      for (const std::string sharing : {"head", "group", "all"}) {
        EXPECT_GE(measured.at("random by " + sharing).error, kRandomMargin * of.error);
        EXPECT_GE(measured.at("random and sinks by " + sharing).error, kSinksMargin * of.error);
      }
    }
  }
}

}  // namespace
}  // namespace tide::testing
