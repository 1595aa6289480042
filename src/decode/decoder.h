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
#include "model/model.h"

namespace tide {

struct DecoderOptions {
  kernels::DType kv_dtype = kernels::DType::bf16;
  int n_threads = 0;       ///< 0: chosen from the machine
  int prefill_chunk = 512;  ///< prompt positions a pass; memory grows with chunk x kv_len, not kv_len squared
};

/// A prefilled prompt: every token but the last is in the cache. Immutable, shared by its forks.
struct Prompt {
  std::vector<std::int32_t> ids;         ///< [prompt_len]
  std::shared_ptr<const KvRows> rows;    ///< prompt_len - 1 positions
  double prefill_ms = 0;
};

/// One sequence being decoded.
class Sequence {
 public:
  std::int64_t step() const { return step_; }            ///< steps done
  std::int64_t prompt_len() const;
  std::span<const float> logits() const { return logits_; }  ///< of the last step; [vocab_size]
  const AttentionPolicy& policy() const { return *policy_; }
  /// Sum over steps, layers and KV heads of distinct rows read, and of bytes read, so far.
  std::int64_t rows_read() const { return rows_read_; }
  std::int64_t bytes_read() const { return bytes_read_; }

 private:
  friend class Decoder;
  Sequence() = default;
  std::shared_ptr<const Prompt> prompt_;
  std::shared_ptr<const AttentionPolicy> policy_;
  std::unique_ptr<PolicyState> state_;
  std::unique_ptr<KvCache> cache_;
  DecodeObserver* observer_ = nullptr;
  ObserverWants wants_;
  std::int64_t step_ = 0, rows_read_ = 0, bytes_read_ = 0;
  std::vector<float> logits_;
};

/// Runs one model. Not thread-safe: one decoder a caller; its own threads are inside.
class Decoder {
 public:
  Decoder(std::shared_ptr<const Model> model, const DecoderOptions& options);
  ~Decoder();

  const Model& model() const;
  int n_threads() const;

  /// Fills the cache with ids[0 .. n-2] under full attention. `progress` gets positions done.
  /// Throws InputError: no ids, an id beyond the vocabulary, more ids than the model has positions.
  std::shared_ptr<const Prompt> prefill(std::span<const std::int32_t> ids,
                                        DecodeObserver* observer = nullptr,
                                        const std::function<void(std::int64_t)>& progress = {});

  /// A sequence that continues the prompt under a policy. `max_steps` positions are reserved.
  /// Throws InputError when prompt_len - 1 + max_steps exceeds the model's positions.
  std::unique_ptr<Sequence> fork(std::shared_ptr<const Prompt> prompt,
                                 std::shared_ptr<const AttentionPolicy> policy,
                                 std::int64_t max_steps, std::uint64_t seed = 0,
                                 DecodeObserver* observer = nullptr);

  /// One step of every row: feeds fed_ids[i] to rows[i], leaves logits in the row. At step 0 the fed
  /// token must be the prompt's last. Rows may be of different prompts, lengths and policies.
  void step(std::span<Sequence* const> rows, std::span<const std::int32_t> fed_ids);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The index of the largest logit, the smaller one in ties.
std::int32_t argmax(std::span<const float> logits);

}  // namespace tide
