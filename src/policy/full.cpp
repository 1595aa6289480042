// full: every layer reads everything. The yardstick of every other method.

#include "policy/base.h"

namespace tide {

namespace {

class FullState final : public PolicyState {
 public:
  const PositionSets* choose(const LayerStep&) override { return nullptr; }
  const PositionSets* observe(const LayerStep&, const LayerScores&) override { return nullptr; }
};

class FullPolicy final : public BoundPolicy {
 public:
  FullPolicy(PolicySpec& spec, const PolicyContext& context) {
    placement_.assign(static_cast<std::size_t>(context.config->n_layers), Role::full);
    canonical_ = spec.finish();
  }
  std::unique_ptr<PolicyState> begin(std::uint64_t) const override { return std::make_unique<FullState>(); }
};

}  // namespace

std::shared_ptr<const AttentionPolicy> make_full(PolicySpec& spec, const PolicyContext& context) {
  return std::make_shared<FullPolicy>(spec, context);
}

}  // namespace tide
