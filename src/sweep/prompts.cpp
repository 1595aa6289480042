#include "sweep/prompts.h"

#include "base/error.h"

namespace tide {

Prompts::Prompts(Decoder& decoder, std::span<const std::int32_t> ids,
                 std::span<const std::shared_ptr<const AttentionPolicy>> policies) {
  std::map<std::string, std::vector<std::shared_ptr<const AttentionPolicy>>> readers;
  for (const auto& policy : policies) readers[policy->prefill_rule().text].push_back(policy);
  for (const auto& [rule, sharing] : readers) {
    by_rule_[rule] = decoder.prefill(ids, nullptr, {}, needs_of(sharing), sharing.front().get());
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
