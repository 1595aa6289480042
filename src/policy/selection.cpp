#include "policy/selection.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/top_k.h"
#include "policy/spec.h"

namespace tide {

int set_count(Sharing sharing, const ModelConfig& config) {
  switch (sharing) {
    case Sharing::head:
      return config.n_heads;
    case Sharing::group:
      return config.n_kv_heads;
    default:
      return 1;
  }
}

const char* sharing_name(Sharing sharing) {
  switch (sharing) {
    case Sharing::head:
      return "head";
    case Sharing::group:
      return "group";
    default:
      return "all";
  }
}

Sharing take_sharing(PolicySpec& spec, const std::string& fallback) {
  const std::string name = spec.take_choice("sharing", fallback, {"head", "group", "all"});
  return name == "head" ? Sharing::head : name == "group" ? Sharing::group : Sharing::all;
}

SelectionRule take_selection_rule(PolicySpec& spec, const ModelConfig& config,
                                  const std::string& default_budget, const std::string& default_sharing,
                                  const BudgetShare* paper) {
  SelectionRule rule;
  rule.sinks = spec.take_int("sinks", 0, 0, config.max_positions);
  rule.recent = spec.take_int("recent", 0, 0, config.max_positions);
  rule.budget = Budget(spec, default_budget, config, rule.sinks + rule.recent, paper);
  rule.sharing = take_sharing(spec, default_sharing);
  return rule;
}

int take_forced(PolicySpec& spec, const std::string& key, const ModelConfig& config) {
  return spec.take(key, "paper") == "paper" ? -1 : spec.take_int(key, 0, 0, config.max_positions);
}

std::vector<std::int32_t> identity_sets(Sharing sharing, const ModelConfig& config) {
  std::vector<std::int32_t> set_of_head(static_cast<std::size_t>(config.n_heads), 0);
  for (int head = 0; head < config.n_heads && sharing != Sharing::all; ++head) {
    set_of_head[static_cast<std::size_t>(head)] =
        sharing == Sharing::head ? head : head / config.group_size();
  }
  return set_of_head;
}

void resize_sets(Sharing sharing, const ModelConfig& config, std::int64_t width, PositionSets& out) {
  out.n_sets = set_count(sharing, config);
  out.width = static_cast<int>(width);
  out.position.resize(static_cast<std::size_t>(out.n_sets * width));
  out.score.resize(out.position.size());
  out.count.assign(static_cast<std::size_t>(out.n_sets), static_cast<std::int32_t>(width));
  if (out.set_of_head.empty()) out.set_of_head = identity_sets(sharing, config);
}

void Selector::choose(const SelectionRule& rule, const LayerStep& step, const LayerScores& scores,
                      PositionSets& out) {
  if (rule.sharing == Sharing::head) {
    choose_by_value(rule, step, scores.score, scores.stride, out);
    return;
  }
  const int n_sets = set_count(rule.sharing, *step.config), heads_a_set = step.config->n_heads / n_sets;
  pooled_.resize(static_cast<std::size_t>(n_sets * scores.kv_len));
  step.pool->run(n_sets, [&](std::int64_t set) {
    kernels::cpu::pooled_prob({.score = scores.score + set * heads_a_set * scores.stride + scores.first,
                               .log_sum_exp = scores.log_sum_exp + set * heads_a_set,
                               .pooled = pooled_.data() + set * scores.kv_len + scores.first,
                               .n_heads = heads_a_set,
                               .stride = scores.stride,
                               .count = scores.kv_len - scores.first});
  });
  choose_by_value(rule, step, pooled_.data(), scores.kv_len, out);
}

void Selector::choose_by_value(const SelectionRule& rule, const LayerStep& step, const float* value,
                               std::int64_t stride, PositionSets& out) {
  const std::int64_t kv_len = step.kv_len, first = step.first;
  const std::int64_t width = std::min(rule.budget.at(kv_len), kv_len - first);
  // A share of a short cache can be less than what is forced: then the sinks come first. A window passes by
  // the sinks; what it holds can be less than is forced, too.
  const std::int64_t sinks = std::clamp<std::int64_t>(rule.sinks - first, 0, width);
  const std::int64_t recent = std::min<std::int64_t>(rule.recent, width - sinks);
  resize_sets(rule.sharing, *step.config, width, out);
  step.pool->run(out.n_sets, [&](std::int64_t set) {
    std::int32_t* position = out.position.data() + set * width;
    float* score = out.score.data() + set * width;
    const std::int64_t forced = sinks + recent;
    std::iota(position, position + sinks, static_cast<std::int32_t>(first));
    std::iota(position + sinks, position + forced, static_cast<std::int32_t>(kv_len - recent));
    std::fill(score, score + forced, std::numeric_limits<float>::quiet_NaN());
    const std::int64_t begin = first + sinks;
    const std::int64_t found = kernels::cpu::top_k({.value = value + set * stride + begin,
                                                    .n = kv_len - recent - begin,
                                                    .k = width - forced,
                                                    .index = position + forced,
                                                    .top_value = score + forced});
    const std::int64_t count = forced + found;
    for (std::int64_t i = forced; i < count; ++i) position[i] += static_cast<std::int32_t>(begin);
    std::fill(position + count, position + width, -1);
    std::fill(score + count, score + width, std::numeric_limits<float>::quiet_NaN());
    out.count[static_cast<std::size_t>(set)] = static_cast<std::int32_t>(count);
  });
}

}  // namespace tide
