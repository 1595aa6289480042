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

/// The same ids, passed once by each rule; policies with the same rule share a prompt. Immutable.
class Prompts {
 public:
  Prompts() = default;
  /// Passes `ids` by every rule that one of the policies asks for. Throws what Decoder::prefill throws.
  Prompts(Decoder& decoder, std::span<const std::int32_t> ids,
          std::span<const std::shared_ptr<const AttentionPolicy>> policies);

  /// The prompt that the policy continues; it must be one of those given (asserted).
  const std::shared_ptr<const Prompt>& of(const AttentionPolicy& policy) const;
  std::vector<std::shared_ptr<const Prompt>> all() const;
  double prefill_ms() const;  ///< of all passes

 private:
  std::map<std::string, std::shared_ptr<const Prompt>> by_rule_;
};

}  // namespace tide
