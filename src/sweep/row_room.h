#pragma once
// How many rows a sweep decodes together: as many as memory holds.

#include <cstdint>
#include <memory>
#include <string>

#include "model/config.h"
#include "sweep/batch.h"
#include "sweep/sample_size.h"

namespace tide {

/// What the parts of a sweep take in memory, before they are there. Bytes; upper bounds of what has been
/// measured, but for policies whose state outgrows the prompt's cache, which are none of ours.
struct MemoryCosts {
  /// `kv_dtype`: as a config names it.
  MemoryCosts(const ModelConfig& config, const std::string& kv_dtype);

  std::int64_t kv_position = 0;  ///< K and V of one position, all layers
  std::int64_t n_heads = 0, vocab = 0, width = 0;

  /// What a row appends to the cache in its steps.
  std::int64_t growth(std::int64_t steps) const { return steps * kv_position; }
  /// A row's state before its first step: a method may copy what it keeps of the prompt, or keep as much of
  /// its own beside it; scores and distributions.
  std::int64_t row(std::int64_t prompt_len) const;
  /// A prompt passed by `n_rules`, with the scratch of its pass and the reference's distributions.
  /// `let_go`: its rows read those as they come; else all are held.
  std::int64_t prompt(const SampleSize& size, std::int64_t n_rules, bool let_go) const;
};

/// Bytes that the process may hold: as the config says, or what it holds and nine tenths of what the machine
/// has available.
std::int64_t memory_limit(const std::string& configured);

/// Admits rows and prompts while they fit. A row counts by its upper bound until its first step has shown
/// what it takes; what it will still append counts until it ends. With nothing in work there is always room:
/// a sweep ends, however little memory it has.
class RowRoom {
 public:
  RowRoom(MemoryCosts costs, std::int64_t limit) : costs_(costs), limit_(limit) {}

  const MemoryCosts& costs() const { return costs_; }
  std::int64_t limit() const { return limit_; }

  bool fits_prompt(const SampleSize& size, std::int64_t n_rules, bool let_go);
  bool fits_row(const DecodeJob& job);
  /// Counts a job from now until it has ended; it must be run.
  DecodeJob admit(DecodeJob job);
  /// After every step of the batch: looks at what the process holds.
  void look();

 private:
  /// Shared with the jobs, which may outlive what they count in.
  struct Counts {
    std::int64_t rows = 0;    ///< in work
    std::int64_t fresh = 0;   ///< bounds of rows before their first step
    std::int64_t growth = 0;  ///< what rows in work may append, all of it
    bool ended = false;       ///< a row, since memory was last given back
  };
  bool fits(std::int64_t more);

  MemoryCosts costs_;
  std::int64_t limit_;
  std::int64_t resident_ = 0;  ///< at the last look
  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

}  // namespace tide
