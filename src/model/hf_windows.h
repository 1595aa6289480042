#pragma once
// Sliding windows of config.json.

#include <cstdint>
#include <vector>

#include "model/architecture.h"
#include "model/json_file.h"

namespace tide {

/// By layer, how many positions a query reads (ModelConfig::window); empty: all, everywhere. As in
/// transformers' classes: Mistral has `sliding_window` at every layer (null: none, left out: 4096); Qwen has
/// it, with `use_sliding_window`, where `layer_types` says sliding_attention, or without that list from layer
/// `max_window_layers` on; Llama has none. Throws InputError naming the field: of the wrong type, out of
/// range, a layer type that is not supported, or a window where the architecture has none.
std::vector<std::int32_t> read_hf_windows(const JsonFields& fields, const Architecture& architecture,
                                          int n_layers);

}  // namespace tide
