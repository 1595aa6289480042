#pragma once
// A prompt's pass in which a chunk's queries read what a method chose of the positions before it: the rows
// are gathered, so that time and memory go by what is read.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "decode/policy.h"
#include "decode/reposition.h"
#include "decode/rope_angles.h"
#include "kernels/thread_pool.h"

namespace tide {

/// What the queries of one chunk read: row j < first is a chosen position's, ascending, row first + i the
/// chunk's own i-th.
struct ChunkRows {
  kernels::KvView kv;  ///< fp32
  std::int64_t first;
};

/// The state of one such pass. Holds the rows of one chunk and layer at a time.
class SparsePass {
 public:
  /// `angles` must outlive it.
  SparsePass(std::unique_ptr<PromptReader> reader, const ModelConfig& config, const RopeAngles& angles,
             kernels::ThreadPool& pool)
      : reader_(std::move(reader)), config_(config), turns_(angles), pool_(pool) {}

  /// query: [count, n_heads, head_dim] of positions begin .. begin + count - 1, rotated; kv: their rows and
  /// all before them. Nothing: every position is read. Valid until the next call.
  std::optional<ChunkRows> read(int layer, std::int64_t begin, std::int64_t count, const float* query,
                                const kernels::KvView& kv);

 private:
  ChunkRows gather(const PositionSets& chosen, std::int64_t begin, std::int64_t count,
                   const kernels::KvView& kv);

  std::unique_ptr<PromptReader> reader_;
  const ModelConfig& config_;
  TurnTable turns_;
  kernels::ThreadPool& pool_;
  std::vector<std::int32_t> position_;  // of the rows
  std::vector<float> k_, v_;            // [n_kv_heads, rows, head_dim]
};

}  // namespace tide
