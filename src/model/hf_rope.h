#pragma once
// Rotary settings of config.json.

#include "model/config.h"
#include "model/json_file.h"

namespace tide {

/// Sets rope_theta, rope_scaling and what they make of max_positions, from `rope_parameters` (transformers 5)
/// or from `rope_scaling` and `rope_theta` (before). max_positions must be max_position_embeddings. linear
/// and yarn make the context `factor` times longer, whether max_position_embeddings says so or not: it
/// becomes the larger of the two. yarn's attention factor is as in transformers: given, or the ratio of what
/// mscale and mscale_all_dim give, or 0.1 ln(factor) + 1. Throws InputError naming the field: a type that is
/// not supported, settings for each layer type, a number that is missing or out of range.
void read_hf_rope(const JsonFields& fields, ModelConfig& config);

}  // namespace tide
