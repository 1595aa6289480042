#pragma once
// Where a prompt says what is asked for.

#include <cstdint>
#include <vector>

#include "task/task.h"

namespace tide {

/// Positions of the prompt's tokens that carry a reference answer, ascending, each once: every occurrence of
/// every answer in the prompt's text. A token that an answer begins or ends inside of counts. Empty where no
/// answer stands in the prompt word for word.
std::vector<std::int32_t> evidence_positions(const Tokenizer& tokenizer, const Sample& sample);

}  // namespace tide
