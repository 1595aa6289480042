#include "task/plain_text.h"

#include "base/error.h"
#include "task/prompt.h"

namespace tide {

namespace {

constexpr std::size_t kContinuation = 32;  // tokens, and words: a word is a token at least

}  // namespace

PlainTextTask::PlainTextTask(std::shared_ptr<const TextSource> text, const Tokenizer& tokenizer)
    : text_(std::move(text)), tokenizer_(tokenizer) {}

const std::string& PlainTextTask::name() const {
  static const std::string kName = "text";
  return kName;
}

Sample PlainTextTask::sample(const SampleSpec& spec) const {
  if (spec.length < 1) fail_input("text: length {} is below 1 token", spec.length);
  Sample sample;
  sample.task = name();
  sample.spec = spec;
  sample.max_new_tokens = static_cast<int>(kContinuation);
  Random random(mix_seed(sample.random_seed(), "sample"));
  const auto ids_of = [&](Passage passage) { return tokenizer_.encode_prompt(join_words(*text_, passage)); };
  const auto passage = find_passage(
      *text_, tokenizer_, random, spec.length,
      [&](Passage tried) { return static_cast<std::int64_t>(ids_of(tried).size()); }, kContinuation);
  sample.prompt_ids = ids_of(passage);
  sample.answer_ids =
      ids_after_prompt(sample.prompt_ids, ids_of({passage.begin, passage.end + kContinuation}));
  sample.answer_ids.resize(kContinuation);
  return sample;
}

}  // namespace tide
