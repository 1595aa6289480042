#pragma once
// Sliding windows: what a layer may read of the cache is a run of positions that ends at the query's own.

#include <cstdint>

#include "decode/policy.h"
#include "kernels/types.h"

namespace tide {

/// The rows of a cache from position `first` on, which become rows 0, 1, 2, …: pointers move, nothing is
/// masked, and attention over them has the bits of a cache that holds nothing else. `first` is below kv_len.
kernels::KvView rows_from(kernels::KvView view, std::int64_t first);

/// `sets` without positions before `first`, in the same order; a set of which nothing is left reads the
/// query's own position, kv_len - 1. `sets` itself where nothing stands before `first`, else `room`.
const PositionSets* within_window(const PositionSets& sets, std::int64_t first, std::int64_t kv_len,
                                  PositionSets& room);

}  // namespace tide
