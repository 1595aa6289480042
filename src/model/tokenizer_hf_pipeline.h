#pragma once
// The steps of a tokenizer.json around its vocabulary, recognised by what they are rather than run.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/json_file.h"

namespace tide {

/// A step that may be a Sequence of steps, which stand under `list`. Throws InputError.
std::vector<JsonFields> steps_of(const JsonFields& tokenizer, const std::string& key, const char* list);

/// The name that `Splitter` gives to the pre_tokenizer: byte-level after GPT-2's pattern ("gpt2"), after
/// single digits and GPT-2's ("smollm"), after Llama-3's ("llama3") or Qwen2's ("qwen2"). Throws InputError
/// for any other.
std::string split_of_pre_tokenizer(const JsonFields& tokenizer);

/// Refuses a decoder, where there is one, that is not byte-level. Throws InputError.
void check_byte_level_decoder(const JsonFields& tokenizer);

/// Whether text is brought to NFC first. Throws InputError for another normalizer.
bool normalises_to_nfc(const JsonFields& tokenizer);

/// The token that the post_processor puts before a text. Throws InputError when it does anything else.
std::optional<std::int64_t> leading_token(const JsonFields& tokenizer);

}  // namespace tide
