// random: each layer reads positions drawn uniformly without replacement (sinks and recent aside). The
// lower bound of every method that reads the same number of positions.

#include "policy/base.h"
#include "policy/placement.h"
#include "policy/selection.h"

namespace tide {

namespace {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a good hash of a counter.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class RandomPolicy final : public BoundPolicy {
 public:
  RandomPolicy(PolicySpec& spec, const PolicyContext& context)
      : rule_(take_selection_rule(spec, *context.config)) {
    placement_ = take_uniform_placement(spec, *context.config, Role::estimate, "0-1");
    canonical_ = spec.finish();
  }

  std::unique_ptr<PolicyState> begin(std::uint64_t seed) const override;
  std::string sharing() const override { return sharing_name(rule_.sharing); }
  std::string budget() const override { return rule_.budget.text(); }
  const SelectionRule& rule() const { return rule_; }

 private:
  SelectionRule rule_;
};

/// Gives every position a uniform score and takes the highest, so that a draw depends on (seed, step,
/// layer, set) alone and the recorded score is the rule's own.
class RandomState final : public PolicyState {
 public:
  RandomState(const RandomPolicy& policy, std::uint64_t seed)
      : policy_(policy), seed_(seed), sets_(policy.placement().size()) {}

  const PositionSets* choose(const LayerStep& step) override {
    const auto layer = static_cast<std::size_t>(step.layer);
    if (policy_.placement()[layer] == Role::full) return nullptr;
    const int n_sets = set_count(policy_.rule().sharing, *step.config);
    draw_.resize(static_cast<std::size_t>(n_sets * step.kv_len));
    const std::uint64_t stream = mix(mix(seed_ ^ mix(static_cast<std::uint64_t>(step.step))) + layer);
    step.pool->run(n_sets, [&](std::int64_t set) {
      float* row = draw_.data() + set * step.kv_len;
      const std::uint64_t of_set = mix(stream + static_cast<std::uint64_t>(set));
      for (std::int64_t i = 0; i < step.kv_len; ++i) {
        row[i] = static_cast<float>(mix(of_set + static_cast<std::uint64_t>(i)) >> 40) * 0x1p-24f;
      }
    });
    selector_.choose_by_value(policy_.rule(), step, draw_.data(), step.kv_len, sets_[layer]);
    return &sets_[layer];
  }
  const PositionSets* observe(const LayerStep&, const LayerScores&) override { return nullptr; }

 private:
  const RandomPolicy& policy_;
  std::uint64_t seed_;
  Selector selector_;
  std::vector<float> draw_;         // [n_sets, kv_len]
  std::vector<PositionSets> sets_;  // by layer
};

std::unique_ptr<PolicyState> RandomPolicy::begin(std::uint64_t seed) const {
  return std::make_unique<RandomState>(*this, seed);
}

}  // namespace

std::shared_ptr<const AttentionPolicy> make_random(PolicySpec& spec, const PolicyContext& context) {
  return std::make_shared<RandomPolicy>(spec, context);
}

}  // namespace tide
