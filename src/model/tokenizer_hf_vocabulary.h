#pragma once
// The tokens and merges of a tokenizer.json.

#include "model/json_file.h"
#include "model/tokenizer.h"

namespace tide {

/// Fills tokens, is_special, added, normalised_names and merges of `data`, whose alphabet is known and whose
/// tokens are as many as the model has ids. Throws InputError: an id that is none or given twice, a merge of
/// another form, an added token that is not matched as it stands, an unknown token that the text could need.
void read_hf_vocabulary(const JsonFields& tokenizer, TokenizerData& data);

}  // namespace tide
