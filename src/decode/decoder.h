#pragma once
// The instrumented decoder: one prefill of a prompt, many forks, decoded as one batch.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "decode/kv_cache.h"
#include "decode/observer.h"
#include "decode/policy.h"
#include "decode/sequence.h"
#include "decode/tier_options.h"
#include "model/model.h"

namespace tide {

struct DecoderOptions {
  kernels::DType kv_dtype = kernels::DType::bf16;
  int n_threads = 0;           ///< 0: one a core (base/cpus.h)
  std::vector<int> cpus = {};  ///< thread i > 0 stays on cpus[i]; empty: wherever the system puts it
  /// Positions a sequence may have; 0: the model's. More than the model was trained for gives sound
  /// latencies and meaningless text.
  std::int64_t max_positions = 0;
  int prefill_chunk = 512;  ///< prompt positions a pass; memory grows with chunk x kv_len, not kv_len squared
};

/// Runs one model. Not thread-safe: one decoder a caller; its own threads are inside.
class Decoder {
 public:
  Decoder(std::shared_ptr<const Model> model, const DecoderOptions& options);
  ~Decoder();

  const Model& model() const;
  int n_threads() const;
  const std::vector<int>& cpus() const;  ///< as in the options

  /// Fills the cache with ids[0 .. n-2], under full attention or by the prefill rule of `reader`. `progress`
  /// gets positions done. `needs`: of the policies that are to continue the prompt (needs_of).
  /// Throws InputError: no ids, an id beyond the vocabulary, more ids than a sequence may have positions, an
  /// observer of prompt rows beside a sparse rule.
  std::shared_ptr<const Prompt> prefill(std::span<const std::int32_t> ids, DecodeObserver* observer = nullptr,
                                        const std::function<void(std::int64_t)>& progress = {},
                                        PromptNeeds needs = {}, const AttentionPolicy* reader = nullptr);

  /// A sequence that continues the prompt under a policy. `max_steps` positions are reserved. The prompt must
  /// have been prefilled with the policy's needs (asserted).
  /// `tier`: the prompt's rows are read from its file; the sequence then keeps nothing of `prompt`'s rows.
  /// Throws InputError when prompt_len - 1 + max_steps exceeds the positions that a sequence may have, for an
  /// observer of full attention beside a policy that evicts in any case, for such a policy offloaded, for a
  /// prompt that was passed by another prefill rule than the policy's, and when the fast tier is too small.
  std::unique_ptr<Sequence> fork(std::shared_ptr<const Prompt> prompt,
                                 std::shared_ptr<const AttentionPolicy> policy, std::int64_t max_steps,
                                 std::uint64_t seed = 0, DecodeObserver* observer = nullptr,
                                 const TierOptions* tier = nullptr);

  /// One step of every row: feeds fed_ids[i] to rows[i], leaves logits in the row. At step 0 the fed
  /// token must be the prompt's last. Rows may be of different prompts, lengths and policies.
  void step(std::span<Sequence* const> rows, std::span<const std::int32_t> fed_ids);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether a sequence under this policy, seen by an observer with these wants, holds only what is kept.
/// Throws InputError: full attention beside a policy that evicts in any case.
bool rows_are_dropped(const AttentionPolicy& policy, const ObserverWants& wants);

/// Throws InputError for a policy whose sequences have no rows to offload: one that evicts in any case.
void check_can_offload(const AttentionPolicy& policy);

/// The index of the largest logit, the smaller one in ties.
std::int32_t argmax(std::span<const float> logits);

}  // namespace tide
