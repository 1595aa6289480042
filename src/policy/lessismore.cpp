// lessismore: LessIsMore (arXiv 2508.07101, section 3). TidalDecode's layers; what a selection layer stores
// is one set for all heads. A quarter of the budget are recent positions, four of them given to the first
// positions of all where the quarter holds more than four; the rest is the union of the heads' top positions,
// by rank: rank 0 of every head, then rank 1, and so on, until it is full. Beyond the paper: `sharing`, the
// union of a group's heads (or of one, which is a head's own top), `sinks` and `recent` of the user's, and a
// head map.

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "kernels/top_k.h"
#include "policy/placement.h"
#include "policy/reuse.h"

namespace tide {

namespace {

struct Rule {
  Budget budget;
  Sharing sharing;
  int sinks, recent;  // -1: the paper's

  std::int64_t sinks_of(std::int64_t width) const { return sinks >= 0 ? sinks : width / 4 > 4 ? 4 : 0; }
  std::int64_t recent_of(std::int64_t width) const {
    return recent >= 0 ? recent : width / 4 - (width / 4 > 4 ? 4 : 0);
  }
};

class UnionChooser final : public Chooser {
 public:
  explicit UnionChooser(Rule rule) : rule_(std::move(rule)) {}

  void choose(const LayerStep& step, const LayerScores& scores, PositionSets& out) override {
    const std::int64_t width = std::min(rule_.budget.at(step.kv_len), step.kv_len - step.first);
    const std::int64_t sinks = std::clamp<std::int64_t>(rule_.sinks_of(width) - step.first, 0, width);
    const std::int64_t recent = std::clamp<std::int64_t>(rule_.recent_of(width), 0, width - sinks);
    resize_sets(rule_.sharing, *step.config, width, out);
    find_tops(step, scores, step.first + sinks, step.kv_len - recent, width - sinks - recent);
    const int heads_a_set = step.config->n_heads / out.n_sets;
    for (int set = 0; set < out.n_sets; ++set) {
      std::int32_t* position = out.position.data() + set * width;
      float* score = out.score.data() + set * width;
      std::iota(position, position + sinks, static_cast<std::int32_t>(step.first));
      std::iota(position + sinks, position + sinks + recent, static_cast<std::int32_t>(step.kv_len - recent));
      std::fill_n(score, sinks + recent, std::numeric_limits<float>::quiet_NaN());
      unite(set * heads_a_set, heads_a_set, step.kv_len, width - sinks - recent, position + sinks + recent,
            score + sinks + recent);
    }
  }

 private:
  /// The `voted` top positions of every head among [begin, end), by rank.
  void find_tops(const LayerStep& step, const LayerScores& scores, std::int64_t begin, std::int64_t end,
                 std::int64_t voted) {
    voted_ = voted;
    top_.resize(static_cast<std::size_t>(step.config->n_heads * voted));
    step.pool->run(step.config->n_heads, [&](std::int64_t head) {
      std::int32_t* top = top_.data() + head * voted;
      const std::int64_t found = kernels::cpu::top_k({.value = scores.score + head * scores.stride + begin,
                                                      .n = end - begin,
                                                      .k = voted,
                                                      .index = top,
                                                      .top_value = nullptr});
      TIDE_ASSERT(found == voted);  // scores are numbers, and there are as many positions
      for (std::int64_t i = 0; i < voted; ++i) top[i] += static_cast<std::int32_t>(begin);
    });
  }

  /// Rank by rank, head by head, each position once, until `voted` are found; within a rank by position.
  void unite(int head, int n_heads, std::int64_t kv_len, std::int64_t voted, std::int32_t* position,
             float* score) {
    taken_.assign(static_cast<std::size_t>(kv_len), 0);
    std::int64_t found = 0;
    for (std::int64_t rank = 0; found < voted; ++rank) {
      const std::int64_t before = found;
      for (int h = head; h < head + n_heads && found < voted; ++h) {
        const std::int32_t candidate = top_[static_cast<std::size_t>(h * voted_ + rank)];
        if (std::exchange(taken_[static_cast<std::size_t>(candidate)], 1) == 0) position[found++] = candidate;
      }
      std::sort(position + before, position + found);
      std::fill(score + before, score + found, -static_cast<float>(rank));
    }
  }

  Rule rule_;
  std::int64_t voted_ = 0;
  std::vector<std::int32_t> top_;    // [n_heads, voted_]
  std::vector<std::uint8_t> taken_;  // [kv_len]
};

}  // namespace

std::shared_ptr<const AttentionPolicy> make_lessismore(PolicySpec& spec, const PolicyContext& context) {
  const ModelConfig& config = *context.config;
  Rule rule{.budget = {},
            .sharing = take_sharing(spec, "all"),
            .sinks = take_forced(spec, "sinks", config),
            .recent = take_forced(spec, "recent", config)};
  rule.budget = Budget(spec, "64", config, std::max(rule.sinks, 0) + std::max(rule.recent, 0));
  const auto placement = take_reuse_placement(spec, config, {.select = tidal_layers(config.n_layers)});
  return std::make_shared<ReusePolicy>(
      spec, context,
      ReusePolicy::Method{
          .placement = placement, .sharing = rule.sharing, .budget = rule.budget.text(), .chooser = [rule] {
            return std::make_unique<UnionChooser>(rule);
          }});
}

}  // namespace tide
