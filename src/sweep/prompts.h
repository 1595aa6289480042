#pragma once
// One prompt for policies that want it passed by different rules.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decode/decoder.h"

namespace tide {

/// Prompts that are kept from sweep to sweep, for policies that ask nothing of a dense pass.
class PromptKeeper {
 public:
  /// Keeps the first prompts that take no more than this together.
  explicit PromptKeeper(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  std::shared_ptr<const Prompt> find(std::span<const std::int32_t> ids) const;  ///< nullptr: not kept
  void keep(std::shared_ptr<const Prompt> prompt);
  bool holds(const std::shared_ptr<const Prompt>& prompt) const;

 private:
  std::size_t most_bytes_, bytes_ = 0;
  std::map<std::vector<std::int32_t>, std::shared_ptr<const Prompt>> by_ids_;
};

/// The same ids, passed once by each rule; policies with the same rule share a prompt. Immutable.
class Prompts {
 public:
  Prompts() = default;
  /// Passes `ids` by every rule that one of the policies asks for, unless `keeper` has the prompt. Throws
  /// what Decoder::prefill throws.
  Prompts(Decoder& decoder, std::span<const std::int32_t> ids,
          std::span<const std::shared_ptr<const AttentionPolicy>> policies, PromptKeeper* keeper = nullptr);

  /// The prompt that the policy continues; it must be one of those given (asserted).
  const std::shared_ptr<const Prompt>& of(const AttentionPolicy& policy) const;
  std::vector<std::shared_ptr<const Prompt>> all() const;
  double prefill_ms() const;  ///< of all passes

 private:
  std::map<std::string, std::shared_ptr<const Prompt>> by_rule_;
};

}  // namespace tide
