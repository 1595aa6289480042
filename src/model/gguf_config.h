#pragma once
// Hyper-parameters from a GGUF file's metadata.

#include "model/config.h"
#include "model/gguf.h"

namespace tide {

/// Reads the keys of the architecture that general.architecture names. Throws InputError naming the key, also
/// for what would change the arithmetic and is not supported (another architecture, experts, other scalings).
ModelConfig read_gguf_config(const GgufFile& file);

}  // namespace tide
