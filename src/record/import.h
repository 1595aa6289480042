#pragma once
// Attention dumped by another program (`np.savez(out, layer_00=…, layer_01=…)`), read with distrust.

#include <filesystem>

#include "record/recorder.h"

namespace tide {

/// Reads arrays layer_NN [steps, heads, positions] of float16, float32 or float64, one a layer from 0
/// on, stored or deflated. Row t of an array is the attention of decoding step t over all positions,
/// 0 beyond positions - steps + t + 1. Throws InputError naming file, array and place: an array that is
/// missing or of another shape, type or order, a weight that is negative or not finite, a row that does
/// not sum to 1, a damaged archive. model_name, n_kv_heads and config_toml are left for the caller.
ImportedAttention read_attention_npz(const std::filesystem::path& path);

}  // namespace tide
