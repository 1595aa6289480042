#pragma once
// A prefilled prompt, and one sequence being decoded after it.

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "decode/kv_cache.h"
#include "decode/observer.h"
#include "decode/policy.h"
#include "decode/prompt_notes.h"

namespace tide {

/// A prefilled prompt: every token but the last is in the cache. Immutable, shared by its forks.
struct Prompt {
  std::vector<std::int32_t> ids;       ///< [prompt_len]
  std::shared_ptr<const KvRows> rows;  ///< prompt_len - 1 positions
  PromptNoteBook notes;                ///< what the policies that are to continue it asked for
  PrefillRule rule;                    ///< by which its rows were made
  double prefill_ms = 0;

  std::int64_t prompt_len() const { return static_cast<std::int64_t>(ids.size()); }
};

/// One sequence being decoded under a policy. It holds the prompt's rows as long as its policy may read them;
/// under one that evicts, it holds copies of what is kept, and none of the prompt.
class Sequence {
 public:
  std::int64_t step() const { return step_; }  ///< steps done
  std::int64_t prompt_len() const { return prompt_len_; }
  std::int32_t last_prompt_id() const { return last_prompt_id_; }  ///< what step 0 must be fed
  const AttentionPolicy& policy() const { return *policy_; }
  std::span<const float> logits() const { return logits_; }  ///< of the last step: [vocab_size]
  /// Sum over steps, layers and KV heads of distinct K/V rows read so far.
  std::int64_t rows_read() const { return rows_read_; }
  /// Bytes of K, V and metadata read so far.
  std::int64_t bytes_read() const { return bytes_read_; }
  /// Of the sets that a method with a cache of them read so far, the share that came out of it: a mean over
  /// steps and layers. NaN: the method has none.
  double reuse_rate() const {
    const std::int64_t all = sets_anew_ + sets_reused_;
    return all > 0 ? static_cast<double>(sets_reused_) / static_cast<double>(all)
                   : std::numeric_limits<double>::quiet_NaN();
  }
  /// What the slower tier of an offloaded sequence was asked so far; nullptr: everything is in memory.
  const TierCounts* tier() const { return cache_->tier(); }
  /// Bytes of K and V held in memory.
  std::size_t cache_bytes() const { return cache_->bytes(); }

 private:
  friend class Decoder;
  friend class StepRunner;
  Sequence() = default;

  std::shared_ptr<const AttentionPolicy> policy_;
  std::unique_ptr<PolicyState> state_;
  std::unique_ptr<KvCache> cache_;
  DecodeObserver* observer_ = nullptr;
  ObserverWants wants_;
  std::int64_t prompt_len_ = 0;
  std::int32_t last_prompt_id_ = 0;
  std::int64_t step_ = 0, rows_read_ = 0, bytes_read_ = 0;
  std::int64_t sets_anew_ = 0, sets_reused_ = 0;
  std::vector<float> logits_;
  std::vector<std::int32_t> uncorrected_;  // fed since the last correction, where the policy wants one
};

}  // namespace tide
