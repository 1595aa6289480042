#pragma once
// What tasks share in building prompts.

#include <cstdint>
#include <span>
#include <vector>

namespace tide {

/// The ids that `whole` (a prompt with its answer) adds to `prompt`. Throws InputError when the tokenizer
/// joins the two, so that the prompt is no beginning of the whole.
std::vector<std::int32_t> ids_after_prompt(std::span<const std::int32_t> prompt,
                                           std::span<const std::int32_t> whole);

}  // namespace tide
