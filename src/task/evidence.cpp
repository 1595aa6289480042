#include "task/evidence.h"

#include <algorithm>

namespace tide {

std::vector<std::int32_t> evidence_positions(const Tokenizer& tokenizer, const Sample& sample) {
  std::string text;
  std::vector<std::size_t> end;  // of each token in the text
  for (const std::int32_t id : sample.prompt_ids) {
    if (!tokenizer.is_special(id)) text += tokenizer.token_bytes(id);
    end.push_back(text.size());
  }
  std::vector<bool> carries(end.size(), false);
  for (const std::string& answer : sample.answers) {
    if (answer.empty()) continue;
    for (auto at = text.find(answer); at != std::string::npos; at = text.find(answer, at + 1)) {
      const auto token = std::upper_bound(end.begin(), end.end(), at) - end.begin();
      for (auto i = static_cast<std::size_t>(token); i < end.size(); ++i) {
        carries[i] = true;
        if (end[i] >= at + answer.size()) break;
      }
    }
  }
  std::vector<std::int32_t> positions;
  for (std::size_t i = 0; i < carries.size(); ++i) {
    if (carries[i]) positions.push_back(static_cast<std::int32_t>(i));
  }
  return positions;
}

}  // namespace tide
