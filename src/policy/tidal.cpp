// tidal: TidalDecode (arXiv 2410.05076, section 3). A few selection layers attend to everything and
// store, per query head, the positions of the highest scaled dot products; every later layer reads the
// last stored set. Beyond the paper: sets shared by a group or by all heads, forced sinks and recent
// positions, and a head map, by which a head of a sparse layer reads the set of the selection layer's
// head that serves it best (Kascade, arXiv 2512.16391, section 4) instead of the set of the same index.

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/head_map.h"
#include "policy/base.h"
#include "policy/placement.h"
#include "policy/selection.h"

namespace tide {

namespace {

/// Layer 2 and the paper's middle layer, 13 of 32, scaled to this model (its section 4.4).
std::vector<int> default_selection(int n_layers) {
  const int first = std::min(2, n_layers - 1);
  const int middle = static_cast<int>(std::lround(n_layers * 13.0 / 32.0));
  return middle > first ? std::vector<int>{first, middle} : std::vector<int>{first};
}

HeadMap read_fitting_map(const std::string& file, const PolicySpec& spec, const PolicyContext& context,
                         Sharing sharing) {
  HeadMap map = read_head_map(file);
  const std::string unit = sharing == Sharing::head ? "query_head" : "kv_head";
  const int heads = sharing == Sharing::head ? context.config->n_heads : context.config->n_kv_heads;
  if (sharing == Sharing::all)
    fail_input("{}: map: sharing=all has one set for all heads and takes none", spec.where());
  if (map.model_sha256 != context.model_sha256) {
    fail_input("{}: map: {} was made for the model with SHA-256 {}, this one has {}", spec.where(), file,
               map.model_sha256.substr(0, 12), context.model_sha256.substr(0, 12));
  }
  if (map.unit != unit) {
    fail_input("{}: map: {} maps {}, sharing={} needs {}", spec.where(), file, map.unit,
               sharing_name(sharing), unit);
  }
  if (map.n_layers != context.config->n_layers || map.n_heads != heads) {
    fail_input("{}: map: {} is for {} layers of {} heads, the model has {} of {}", spec.where(), file,
               map.n_layers, map.n_heads, context.config->n_layers, heads);
  }
  return map;
}

class TidalPolicy final : public BoundPolicy {
 public:
  TidalPolicy(PolicySpec& spec, const PolicyContext& context)
      : rule_(take_selection_rule(spec, *context.config)) {
    placement_ = take_reuse_placement(spec, *context.config, default_selection(context.config->n_layers));
    map_file_ = spec.take("map", "none");
    if (map_file_ != "none") {
      if (!map_file_.starts_with('@'))
        fail_input("{}: map '{}' is neither 'none' nor @FILE", spec.where(), map_file_);
      bind_map(read_fitting_map(map_file_.substr(1), spec, context, rule_.sharing), *context.config);
    }
    canonical_ = spec.finish();
  }

  std::unique_ptr<PolicyState> begin(std::uint64_t) const override;
  std::string sharing() const override { return sharing_name(rule_.sharing); }
  std::string map() const override { return map_file_ == "none" ? "" : map_file_.substr(1); }
  std::string budget() const override { return rule_.budget.text(); }
  const SelectionRule& rule() const { return rule_; }
  /// Which set each query head of a sparse layer reads: [n_heads]; empty: its own.
  const std::vector<std::int32_t>& mapped_sets(std::size_t layer) const { return mapped_sets_[layer]; }
  bool has_map() const { return !mapped_sets_.empty(); }

 private:
  void bind_map(const HeadMap& map, const ModelConfig& config) {
    mapped_sets_.resize(placement_.size());
    std::size_t source = 0;
    for (std::size_t layer = 0; layer < placement_.size(); ++layer) {
      if (placement_[layer] == Role::select) source = layer;
      if (placement_[layer] != Role::sparse) continue;
      for (int head = 0; head < config.n_heads; ++head) {
        const int unit = rule_.sharing == Sharing::head ? head : head / config.group_size();
        mapped_sets_[layer].push_back(map.source_head[source][layer][static_cast<std::size_t>(unit)]);
      }
    }
  }

  SelectionRule rule_;
  std::string map_file_;
  std::vector<std::vector<std::int32_t>> mapped_sets_;  // by layer: [n_heads]
};

class TidalState final : public PolicyState {
 public:
  explicit TidalState(const TidalPolicy& policy) : policy_(policy), mapped_(policy.placement().size()) {}

  const PositionSets* choose(const LayerStep& step) override {
    const auto layer = static_cast<std::size_t>(step.layer);
    if (policy_.placement()[layer] != Role::sparse) return nullptr;
    if (!policy_.has_map()) return &stored_;
    mapped_[layer] = stored_;
    mapped_[layer].set_of_head = policy_.mapped_sets(layer);
    return &mapped_[layer];
  }

  const PositionSets* observe(const LayerStep& step, const LayerScores& scores) override {
    if (policy_.placement()[static_cast<std::size_t>(step.layer)] != Role::select) return nullptr;
    selector_.choose(policy_.rule(), step, scores, stored_);
    return &stored_;
  }

 private:
  const TidalPolicy& policy_;
  Selector selector_;
  PositionSets stored_;               // of the last selection layer
  std::vector<PositionSets> mapped_;  // by layer: the stored sets with that layer's readers
};

std::unique_ptr<PolicyState> TidalPolicy::begin(std::uint64_t) const {
  return std::make_unique<TidalState>(*this);
}

}  // namespace

std::shared_ptr<const AttentionPolicy> make_tidal(PolicySpec& spec, const PolicyContext& context) {
  return std::make_shared<TidalPolicy>(spec, context);
}

}  // namespace tide
