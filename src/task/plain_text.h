#pragma once
// Running text without a question: what head maps are made from, and what fidelity is measured on.

#include <memory>

#include "task/task.h"
#include "task/text_source.h"

namespace tide {

/// The prompt is a passage as it stands, without a chat template, up to a sentence's end; the reference
/// continuation is the text's own next 32 tokens. There is no right answer.
class PlainTextTask final : public Task {
 public:
  PlainTextTask(std::shared_ptr<const TextSource> text, const Tokenizer& tokenizer);

  const std::string& name() const override;
  bool has_depth() const override { return false; }
  Sample sample(const SampleSpec& spec) const override;
  Score score(const Sample&, std::string_view) const override { return {}; }

 private:
  std::shared_ptr<const TextSource> text_;
  const Tokenizer& tokenizer_;
};

}  // namespace tide
