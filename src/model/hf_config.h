#pragma once
// config.json of a Hugging Face folder.

#include <filesystem>

#include "model/architecture.h"
#include "model/config.h"

namespace tide {

struct HfConfig {
  ModelConfig model;
  bool tied = false;  ///< the LM head is the embedding
};

/// Reads `folder`/config.json of a supported architecture, as transformers 5 writes it (rope_parameters) or
/// earlier ones (rope_theta, rope_scaling). Throws InputError naming the file, the field and its value:
/// another architecture, what would change the arithmetic and is not supported (another activation, biases
/// in the feed-forward, quantised weights, other rotary scalings), a size that is missing, not positive,
/// above 2^30 or does not divide.
HfConfig read_hf_config(const std::filesystem::path& folder);

}  // namespace tide
