#include "sweep/prompts.h"

#include "base/error.h"

namespace tide {

std::shared_ptr<const Prompt> PromptKeeper::find(std::span<const std::int32_t> ids) const {
  const auto found = by_ids_.find({ids.begin(), ids.end()});
  return found == by_ids_.end() ? nullptr : found->second;
}

void PromptKeeper::keep(std::shared_ptr<const Prompt> prompt) {
  if (bytes_ + prompt->rows->bytes() > most_bytes_) return;
  bytes_ += prompt->rows->bytes();
  by_ids_.emplace(prompt->ids, std::move(prompt));
}

bool PromptKeeper::holds(const std::shared_ptr<const Prompt>& prompt) const {
  return find(prompt->ids) == prompt;
}

Prompts::Prompts(Decoder& decoder, std::span<const std::int32_t> ids,
                 std::span<const std::shared_ptr<const AttentionPolicy>> policies, PromptKeeper* keeper) {
  std::map<std::string, std::vector<std::shared_ptr<const AttentionPolicy>>> readers;
  for (const auto& policy : policies) readers[policy->prefill_rule().text].push_back(policy);
  for (const auto& [rule, sharing] : readers) {
    const PromptNeeds needs = needs_of(sharing);
    const bool plain = rule.empty() && needs.last_queries == 0 && !needs.column_mass;
    std::shared_ptr<const Prompt>& prompt = by_rule_[rule];
    if (keeper && plain) prompt = keeper->find(ids);
    if (prompt) continue;
    prompt = decoder.prefill(ids, nullptr, {}, needs, sharing.front().get());
    if (keeper && plain) keeper->keep(prompt);
  }
}

const std::shared_ptr<const Prompt>& Prompts::of(const AttentionPolicy& policy) const {
  const auto found = by_rule_.find(policy.prefill_rule().text);
  TIDE_ASSERT(found != by_rule_.end());
  return found->second;
}

std::vector<std::shared_ptr<const Prompt>> Prompts::all() const {
  std::vector<std::shared_ptr<const Prompt>> prompts;
  for (const auto& [rule, prompt] : by_rule_) prompts.push_back(prompt);
  return prompts;
}

double Prompts::prefill_ms() const {
  double ms = 0;
  for (const auto& [rule, prompt] : by_rule_) ms += prompt->prefill_ms;
  return ms;
}

}  // namespace tide
