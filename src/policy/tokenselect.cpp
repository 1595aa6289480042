// tokenselect: TokenSelect (arXiv 2411.02886, section 4). Every layer lets all heads vote: softmax weights of
// the scaled dot products, summed over heads, choose one set for all; the first and the last positions are
// always read. First, last and voted share the budget as 128 : 512 : 2048, or are `n_init`, `n_local` and the
// rest. The selection cache: a layer keeps its voted positions while its query is similar to that of its last
// vote (cosine over all heads >= `threshold`, the paper's 0.9). A vote looks at every key, which counts as
// read. Layers 0 and 1 read everything. Keys are scored as they are cached, rotated; `scores=raw`: by
// unscaled products from before the rotation, as the released kernel does, and the cache then compares such
// queries. They are read at positions inside the set (section 4.3; `positions=original`: where they were).
// The prefill is dense, or by the vote of each chunk's mean query (`prefill=sparse`, `chunk`).

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "policy/base.h"
#include "policy/placement.h"
#include "policy/tokenselect_rule.h"

namespace tide {

namespace {

double take_threshold(PolicySpec& spec) {
  const std::string what = spec.where() + ": threshold";
  const double threshold = parse_number(spec.take("threshold", "0.9"), what);
  if (threshold < -1 || threshold > 2) fail_input("{} is {}, expected -1 to 2", what, threshold);
  spec.resolve("threshold", fmt::format("{}", threshold));
  return threshold;
}

int take_chunk(PolicySpec& spec, const ModelConfig& config, bool sparse) {
  if (!sparse && spec.has("chunk"))
    fail_input("{}: chunk is a key of prefill=sparse; the dense pass needs none", spec.where());
  return spec.take_int("chunk", 512, 1, config.max_positions);
}

/// A chunk's queries would each have a window of their own.
void refuse_windows(const PolicySpec& spec, const ModelConfig& config, std::span<const Role> placement) {
  for (int layer = 0; layer < config.n_layers; ++layer) {
    if (placement[static_cast<std::size_t>(layer)] != Role::estimate || config.window_of(layer) == 0)
      continue;
    fail_input(
        "{}: prefill=sparse: layer {} has a sliding window of {} positions, expected none (or full={})",
        spec.where(), layer, config.window_of(layer), layer);
  }
}

class TokenSelectPolicy final : public BoundPolicy {
 public:
  TokenSelectPolicy(PolicySpec& spec, const PolicyContext& context)
      : config(*context.config),
        rule(spec, config),
        threshold(take_threshold(spec)),
        sparse_(spec.take_choice("prefill", "dense", {"dense", "sparse"}) == "sparse"),
        chunk_(take_chunk(spec, config, sparse_)) {
    placement_ = take_uniform_placement(spec, config, Role::estimate, "0-1");
    if (sparse_) {
      refuse_windows(spec, config, placement_);
    } else {
      spec.forget("prefill");  // specs of before there were such keys stay what they were
      spec.forget("chunk");
    }
    canonical_ = spec.finish();
  }

  bool reads_keys(int layer) const override {
    return placement_[static_cast<std::size_t>(layer)] == Role::estimate;
  }
  std::unique_ptr<PolicyState> begin(std::uint64_t) const override;
  std::string sharing() const override { return "all"; }
  std::string budget() const override { return rule.budget.text(); }

  PrefillRule prefill_rule() const override {
    if (!sparse_) return {};
    return {fmt::format(
                "tokenselect: budget {}, n_init {}, n_local {}, {} scores, {} positions, chunks of {}, {}",
                rule.budget.text(), rule.n_init, rule.n_local, rule.raw ? "raw" : "rotated",
                rule.contiguous ? "contiguous" : "original", chunk_, placement_letters(placement_)),
            chunk_};
  }
  std::unique_ptr<PromptReader> begin_prompt() const override {
    return make_tokenselect_reader(rule, config, placement_);
  }

  const ModelConfig config;
  const TokenSelectRule rule;
  const double threshold;

 private:
  bool sparse_;
  int chunk_;
};

class TokenSelectState final : public PolicyState {
 public:
  explicit TokenSelectState(const TokenSelectPolicy& policy)
      : policy_(policy), layers_(policy.placement().size()) {
    if (policy.rule.raw) raw_ = std::make_unique<RawScores>(policy.config);
  }

  const PositionSets* choose(const LayerStep& step) override {
    const auto index = static_cast<std::size_t>(step.layer);
    if (policy_.placement()[index] == Role::full) return nullptr;
    Layer& layer = layers_[index];
    const auto size = static_cast<std::size_t>(step.config->n_heads * step.config->head_dim);
    layer.key_bytes = 0;
    const float* query = voting_query(step, size);
    // A budget for everything leaves nothing to keep: what slides out of the last positions stays in the set.
    const bool takes_all = policy_.rule.budget.at(step.kv_len) == step.kv_len;
    if (takes_all || layer.query.empty() || similarity(layer.query.data(), query, size) < policy_.threshold) {
      layer.query.assign(query, query + size);
      vote(step, query, layer);
      layer.origin = SetOrigin::anew;
    } else {
      move_on(step, layer);
      layer.origin = SetOrigin::reused;
    }
    layer.sets.contiguous = policy_.rule.contiguous;
    return &layer.sets;
  }
  const PositionSets* observe(const LayerStep&, const LayerScores&) override { return nullptr; }
  SetOrigin set_origin(int layer) const override { return layers_[static_cast<std::size_t>(layer)].origin; }
  std::int64_t metadata_bytes(int layer) const override {
    return layers_[static_cast<std::size_t>(layer)].key_bytes;
  }

 private:
  struct Layer {
    std::vector<float> query;  // of the last vote: [n_heads * head_dim]
    PositionSets sets;         // forced positions, then those of the last vote
    std::int64_t width = 0;    // budget at the last vote: shares of a growing one would reach into its votes
    std::int64_t key_bytes = 0;  // that this step's vote read
    SetOrigin origin = SetOrigin::untold;
  };

  static double similarity(const float* a, const float* b, std::size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < n; ++i) {
      dot += static_cast<double>(a[i]) * b[i];
      aa += static_cast<double>(a[i]) * a[i];
      bb += static_cast<double>(b[i]) * b[i];
    }
    return dot / std::sqrt(aa * bb);
  }

  /// The query as it votes and is compared.
  const float* voting_query(const LayerStep& step, std::size_t size) {
    if (!raw_) return step.query;
    raw_query_.resize(size);
    raw_->unrotate(step.query, step.kv_len - 1, raw_query_.data());
    return raw_query_.data();
  }

  void vote(const LayerStep& step, const float* query, Layer& layer) {
    policy_.rule.choose(step, raw_ ? raw_->of(step, query) : step.exact_scores(), selector_, layer.sets);
    layer.width = policy_.rule.budget.at(step.kv_len);
    layer.key_bytes = (step.kv_len - step.first) * step.config->n_kv_heads * step.config->head_dim *
                      static_cast<std::int64_t>(kernels::size_of(step.kv.dtype));
  }

  /// The cached votes, and the first and last positions of now.
  void move_on(const LayerStep& step, Layer& layer) {
    PositionSets& sets = layer.sets;
    const std::int64_t in_reach = step.kv_len - step.first;
    const std::int64_t first =
        std::clamp<std::int64_t>(policy_.rule.first_of(layer.width) - step.first, 0, in_reach);
    const std::int64_t last = std::min(policy_.rule.last_of(layer.width), in_reach - first);
    // What was forced at the vote has no score.
    const auto voted =
        std::find_if(sets.score.begin(), sets.score.end(), [](float s) { return !std::isnan(s); });
    const auto begin = voted - sets.score.begin();
    kept_.assign(sets.position.begin() + begin, sets.position.begin() + sets.count[0]);
    kept_score_.assign(voted, sets.score.begin() + sets.count[0]);
    const auto forced = static_cast<std::size_t>(first + last);
    sets.width = static_cast<int>(forced + kept_.size());
    sets.count[0] = sets.width;
    sets.position.resize(forced);
    std::iota(sets.position.begin(), sets.position.begin() + first, static_cast<std::int32_t>(step.first));
    std::iota(sets.position.begin() + first, sets.position.end(),
              static_cast<std::int32_t>(step.kv_len - last));
    sets.position.insert(sets.position.end(), kept_.begin(), kept_.end());
    sets.score.assign(forced, std::numeric_limits<float>::quiet_NaN());
    sets.score.insert(sets.score.end(), kept_score_.begin(), kept_score_.end());
  }

  const TokenSelectPolicy& policy_;
  Selector selector_;
  std::unique_ptr<RawScores> raw_;
  std::vector<float> raw_query_;
  std::vector<Layer> layers_;
  std::vector<std::int32_t> kept_;
  std::vector<float> kept_score_;
};

}  // namespace

TokenSelectRule::TokenSelectRule(PolicySpec& spec, const ModelConfig& config)
    : n_init(take_forced(spec, "n_init", config)),
      n_local(take_forced(spec, "n_local", config)),
      budget(spec, "64", config, std::max(n_init, 0) + std::max(n_local, 0)),
      contiguous(spec.take_choice("positions", "contiguous", {"contiguous", "original"}) == "contiguous"),
      raw(spec.take_choice("scores", "rotated", {"rotated", "raw"}) == "raw") {
  if (!raw) spec.forget("scores");  // specs of before there was such a key stay what they were
}

void TokenSelectRule::choose(const LayerStep& step, const LayerScores& scores, Selector& selector,
                             PositionSets& sets) const {
  SelectionRule rule{.budget = budget, .sharing = Sharing::all};
  const std::int64_t width = budget.at(step.kv_len);
  rule.sinks = static_cast<int>(first_of(width));
  rule.recent = static_cast<int>(last_of(width));
  selector.choose(rule, step, scores, sets);
}

std::unique_ptr<PolicyState> TokenSelectPolicy::begin(std::uint64_t) const {
  return std::make_unique<TokenSelectState>(*this);
}

std::shared_ptr<const AttentionPolicy> make_tokenselect(PolicySpec& spec, const PolicyContext& context) {
  return std::make_shared<TokenSelectPolicy>(spec, context);
}

}  // namespace tide
