// kascade: Kascade (arXiv 2512.16391, sections 3 and 4). Anchor layers sum the post-softmax weights of a
// group's query heads, take the top per KV head, and read only that themselves, but for layer 0, which reads
// everything; the layers after an anchor read its sets through a head map. The paper's budget is 10 % of the
// context and at least 128 positions (`budget=paper`, the default); its anchors are those of Llama-3.1-8B.
// Anchors, and the map, belong to a model: `select` and `map` take those that were made for it.

#include "policy/placement.h"
#include "policy/reuse.h"

namespace tide {

std::shared_ptr<const AttentionPolicy> make_kascade(PolicySpec& spec, const PolicyContext& context) {
  static constexpr BudgetShare kPaper{.percent = 10, .least = 128};
  const ModelConfig& config = *context.config;
  const SelectionRule rule = take_selection_rule(spec, config, "paper", "group", &kPaper);
  const auto placement =
      take_reuse_placement(spec, config,
                           {.select = at_same_depth({0, 2, 8, 13, 14}, 32, config.n_layers),
                            .full = "0",
                            .chooser = Role::estimate});
  return make_top_reuse(spec, context, rule, placement);
}

}  // namespace tide
