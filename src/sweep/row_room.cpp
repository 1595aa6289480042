#include "sweep/row_room.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "base/memory.h"

namespace tide {

namespace {

constexpr std::int64_t kFloat = sizeof(float);
/// Positions of a chunk of the prefill (DecoderOptions).
constexpr std::int64_t kChunk = 512;
/// Steps of a reference whose distributions are held at once: rows of one sample keep close together.
constexpr std::int64_t kStepsHeld = 256;

}  // namespace

MemoryCosts::MemoryCosts(const ModelConfig& config, const std::string& kv_dtype)
    : kv_position(2 * config.n_layers * config.n_kv_heads * config.head_dim * (kv_dtype == "fp32" ? 4 : 2)),
      n_heads(config.n_heads),
      vocab(config.vocab_size),
      width(config.hidden_size + config.ffn_size) {}

std::int64_t MemoryCosts::row(std::int64_t prompt_len) const {
  const std::int64_t scores = 4 * n_heads * prompt_len * kFloat;  // scores and probabilities, twice at most
  const std::int64_t distributions = 3 * vocab * kFloat;          // logits, and what fidelity makes of them
  return prompt_len * kv_position + scores + distributions;
}

std::int64_t MemoryCosts::prompt(const SampleSize& size, std::int64_t n_rules, bool let_go) const {
  const std::int64_t chunk = std::min(size.prompt, kChunk);
  const std::int64_t scratch = chunk * (size.prompt * n_heads + 4 * width) * kFloat;
  const std::int64_t reference = (let_go ? std::min(size.forced, kStepsHeld) : size.forced) * vocab * kFloat;
  return n_rules * size.prompt * kv_position + scratch + reference;
}

std::int64_t memory_limit(const std::string& configured) {
  if (!configured.empty()) return parse_bytes(configured, "memory");
  const std::int64_t available = available_bytes();
  return resident_bytes() + available / 10 * 9;
}

bool RowRoom::fits(std::int64_t more) {
  if (counts_->rows == 0) return true;
  const std::int64_t wanted = counts_->fresh + counts_->growth + more;
  if (resident_ == 0) look();
  if (resident_ + wanted <= limit_) return true;
  if (!counts_->ended) return false;
  // What ended rows took may still be with the allocator.
  ::malloc_trim(0);
  counts_->ended = false;
  look();
  return resident_ + wanted <= limit_;
}

bool RowRoom::fits_prompt(const SampleSize& size, std::int64_t n_rules, bool let_go) {
  return fits(costs_.prompt(size, n_rules, let_go));
}

bool RowRoom::fits_row(const DecodeJob& job) {
  return fits(costs_.row(job.prompt->prompt_len()) + costs_.growth(job.max_steps));
}

DecodeJob RowRoom::admit(DecodeJob job) {
  const std::int64_t bound = costs_.row(job.prompt->prompt_len()), growth = costs_.growth(job.max_steps);
  counts_->rows += 1;
  counts_->fresh += bound;
  counts_->growth += growth;
  const auto fresh = std::make_shared<bool>(true);
  const auto end = [counts = counts_, fresh, bound, growth] {
    if (*fresh) counts->fresh -= bound;
    counts->rows -= 1;
    counts->growth -= growth;
    counts->ended = true;
  };
  job.next = [next = std::move(job.next), counts = counts_, fresh, bound](const Sequence& sequence,
                                                                          const StepCost& cost) {
    if (*fresh) counts->fresh -= bound;
    *fresh = false;
    return next(sequence, cost);
  };
  job.done = [done = std::move(job.done), end] { end(), done(); };
  job.failed = [failed = std::move(job.failed), end](const std::string& reason) { end(), failed(reason); };
  return job;
}

void RowRoom::look() { resident_ = resident_bytes(); }

}  // namespace tide
