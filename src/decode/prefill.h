#pragma once
// The prompt's pass: in chunks, dense or as a method reads it (sparse_pass.h), through LibTorch's GEMMs and
// our blocked attention.

#include <cstdint>
#include <functional>
#include <span>

#include "decode/kv_rows.h"
#include "decode/observer.h"
#include "decode/pass_rows.h"
#include "decode/prompt_notes.h"
#include "decode/rope_angles.h"
#include "decode/sparse_pass.h"
#include "kernels/thread_pool.h"
#include "model/model.h"

namespace tide {

/// What a prefill runs on.
struct PrefillContext {
  const Model& model;
  const RopeAngles& angles;
  kernels::ThreadPool& pool;
  int chunk;                     ///< positions a pass
  kernels::DType product_dtype;  ///< of the weight products' factors: fp32, or bf16 for bf16 weights
};

/// Writes K and V of ids[0 .. n) into `rows` (capacity >= n), calls the observer for the prompt rows it asked
/// for, and writes down in `notes` what methods asked for. Memory grows with chunk x n. `sparse`: what the
/// chunks read; nullptr: everything.
void run_prefill(const PrefillContext& context, std::span<const std::int32_t> ids, KvRows& rows,
                 PromptNoteBook& notes, DecodeObserver* observer,
                 const std::function<void(std::int64_t)>& progress, SparsePass* sparse = nullptr);

/// Makes K and V of ids at positions begin .. again, from dense attention over everything before them.
void run_dense_pass(const PrefillContext& context, std::span<const std::int32_t> ids, std::int64_t begin,
                    PassRows& rows);

}  // namespace tide
