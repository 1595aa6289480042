// omnikv: OmniKV (ICLR 2025, section 4). Filter layers attend to everything; the layers before the first,
// each filter and the one after it are full. A filter scores each position of the prompt by the largest
// scaled dot product of all query heads and keeps the top for the layers after it; every generated position
// is read besides. A budget in percent is a share of the prompt. Filters by default: those of Llama-3-8B (2,
// 8, 18). Beyond the paper: `sharing` (the largest of a group's heads, or a head's own) and a head map.

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/top_k.h"
#include "policy/placement.h"
#include "policy/reuse.h"

namespace tide {

namespace {

class PromptChooser final : public Chooser {
 public:
  PromptChooser(Budget budget, Sharing sharing) : budget_(std::move(budget)), sharing_(sharing) {}

  void choose(const LayerStep& step, const LayerScores& scores, PositionSets& out) override {
    // Of the prompt, and of what was generated after it, a sliding window leaves what it holds.
    const std::int64_t first = step.first, end = std::max(step.prompt_len, first);
    const std::int64_t generated = step.kv_len - end;
    const std::int64_t kept = std::min(budget_.at(step.prompt_len), end - first);
    const std::int64_t width = generated + kept;
    resize_sets(sharing_, *step.config, width, out);
    largest_.resize(static_cast<std::size_t>(out.n_sets * (end - first)));
    const int heads_a_set = step.config->n_heads / out.n_sets;
    step.pool->run(out.n_sets, [&](std::int64_t set) {
      float* largest = largest_.data() + set * (end - first);
      const float* score = scores.score + set * heads_a_set * scores.stride + first;
      std::copy_n(score, end - first, largest);
      for (int head = 1; head < heads_a_set; ++head) {
        const float* other = score + head * scores.stride;
        for (std::int64_t i = 0; i < end - first; ++i) largest[i] = std::max(largest[i], other[i]);
      }
      std::int32_t* position = out.position.data() + set * width;
      std::iota(position, position + generated, static_cast<std::int32_t>(end));
      std::fill_n(out.score.data() + set * width, generated, std::numeric_limits<float>::quiet_NaN());
      kernels::cpu::top_k({.value = largest,
                           .n = end - first,
                           .k = kept,
                           .index = position + generated,
                           .top_value = out.score.data() + set * width + generated});
      for (std::int64_t i = generated; i < width; ++i) position[i] += static_cast<std::int32_t>(first);
    });
  }

 private:
  Budget budget_;
  Sharing sharing_;
  std::vector<float> largest_;  // [n_sets, prompt positions in reach]
};

}  // namespace

std::shared_ptr<const AttentionPolicy> make_omnikv(PolicySpec& spec, const PolicyContext& context) {
  const ModelConfig& config = *context.config;
  const Budget budget(spec, "64", config, 0);
  const Sharing sharing = take_sharing(spec, "all");
  const auto placement = take_reuse_placement(
      spec, config, {.select = at_same_depth({2, 8, 18}, 32, config.n_layers), .full_after = true});
  return std::make_shared<ReusePolicy>(
      spec, context,
      ReusePolicy::Method{
          .placement = placement, .sharing = sharing, .budget = budget.text(), .chooser = [budget, sharing] {
            return std::make_unique<PromptChooser>(budget, sharing);
          }});
}

}  // namespace tide
