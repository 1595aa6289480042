#include "model/tokenizer_hf_spaces.h"

#include "base/error.h"
#include "model/tokenizer_hf_pipeline.h"
#include "model/tokenizer_normal.h"

namespace tide {

namespace {

constexpr const char* kSupportedNormalizer =
    "'Prepend' of \"▁\" and 'Replace' of \" \" by \"▁\", or 'Replace' alone";
constexpr const char* kSupportedDecoder =
    "'Replace' of \"▁\" by \" \", 'ByteFallback', 'Fuse' and at most a 'Strip' of one \" \" at the start";

/// A step that replaces every `from` by `to`.
bool is_replace(const JsonFields& step, std::string_view from, std::string_view to) {
  if (step.text("type") != "Replace") return false;
  const auto& pattern = step.value("pattern");
  return pattern.is_object() && pattern.size() == 1 && pattern.contains("String") &&
         pattern["String"] == from && step.text("content") == to;
}

bool is_prepend(const JsonFields& step) {
  return step.text("type") == "Prepend" && step.text("prepend") == kSpaceMark;
}

bool is_strip(const JsonFields& step) {
  return step.text("type") == "Strip" && step.text("content") == " " && step.value("start") == 1 &&
         step.value("stop") == 0;
}

SpacePrefix prefix_of_normalizer(const JsonFields& tokenizer) {
  const auto steps = steps_of(tokenizer, "normalizer", "normalizers");
  if (steps.size() == 1 && is_replace(steps[0], " ", kSpaceMark)) return SpacePrefix::none;
  if (steps.size() == 2 && is_prepend(steps[0]) && is_replace(steps[1], " ", kSpaceMark)) {
    return SpacePrefix::always;
  }
  tokenizer.fail("normalizer", std::string(kSupportedNormalizer) + ", as byte_fallback is true");
}

/// Files before prepend_scheme have add_prefix_space instead.
SpacePrefix prefix_of_metaspace(const JsonFields& step) {
  if (step.text("type") != "Metaspace") step.fail("type", "'Metaspace', as byte_fallback is true");
  if (step.text("replacement") != kSpaceMark) step.fail("replacement", "\"▁\"");
  if (!step.has("prepend_scheme")) {
    return step.boolean("add_prefix_space", true) ? SpacePrefix::missing : SpacePrefix::none;
  }
  const std::string& scheme = step.text("prepend_scheme");
  if (scheme == "always") return SpacePrefix::missing;
  if (scheme == "first") return SpacePrefix::missing_first;
  if (scheme != "never") step.fail("prepend_scheme", "'always', 'first' or 'never'");
  return SpacePrefix::none;
}

bool decoder_strips(const JsonFields& tokenizer) {
  const auto steps = steps_of(tokenizer, "decoder", "decoders");
  const bool known = (steps.size() == 3 || (steps.size() == 4 && is_strip(steps[3]))) &&
                     is_replace(steps[0], kSpaceMark, " ") && steps[1].text("type") == "ByteFallback" &&
                     steps[2].text("type") == "Fuse";
  if (!known) tokenizer.fail("decoder", std::string(kSupportedDecoder) + ", as byte_fallback is true");
  return steps.size() == 4;
}

}  // namespace

SpaceSteps read_space_steps(const JsonFields& tokenizer) {
  SpaceSteps steps;
  steps.split = "none";
  if (tokenizer.has("normalizer")) {
    steps.prefix = prefix_of_normalizer(tokenizer);
    if (tokenizer.has("pre_tokenizer")) {
      tokenizer.fail("pre_tokenizer", "none, as the normalizer marks spaces and byte_fallback is true");
    }
  } else {
    const JsonFields step = tokenizer.object("pre_tokenizer");
    steps.prefix = prefix_of_metaspace(step);
    if (step.boolean("split", true)) steps.split = "marks";
  }
  steps.strips = decoder_strips(tokenizer);
  return steps;
}

}  // namespace tide
