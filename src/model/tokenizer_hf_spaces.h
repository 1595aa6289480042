#pragma once
// The steps of a tokenizer.json with byte fallback, which mark the spaces of text and take the marks off
// again.

#include <string>

#include "model/json_file.h"
#include "model/tokenizer.h"

namespace tide {

struct SpaceSteps {
  SpacePrefix prefix = SpacePrefix::none;
  std::string split;    ///< a name that Splitter knows
  bool strips = false;  ///< decoded text loses one space at its front
};

/// Recognises the two ways of marking spaces: a normalizer of Prepend and Replace, or of Replace alone, and
/// no pre_tokenizer (Llama-2); or a Metaspace pre_tokenizer and no normalizer (Mistral). The decoder is
/// Replace, ByteFallback, Fuse and, where it strips, Strip. Throws InputError for any other step.
SpaceSteps read_space_steps(const JsonFields& tokenizer);

}  // namespace tide
