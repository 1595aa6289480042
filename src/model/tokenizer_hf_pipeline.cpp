#include "model/tokenizer_hf_pipeline.h"

#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

using nlohmann::json;

constexpr const char* kSupported =
    "byte-level after the pattern of GPT-2, Llama-3 or Qwen2, or after single digits and GPT-2's";

/// Patterns of a Split step by their exact text, and our names for them.
constexpr std::array<std::pair<std::string_view, const char*>, 3> kPatterns = {{
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "gpt2"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "llama3"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "qwen2"},
}};

/// Refuses a byte-level step that does more than give bytes their characters.
void check_byte_level(const JsonFields& step, bool splits) {
  if (step.text("type") != "ByteLevel") step.fail("type", kSupported);
  if (step.boolean("add_prefix_space", true)) step.fail("add_prefix_space", "false");
  if (step.boolean("use_regex", true) != splits) step.fail("use_regex", splits ? "true" : "false");
}

std::string split_of_pattern(const JsonFields& step) {
  const JsonFields pattern = step.object("pattern");
  const std::string& text = pattern.text("Regex");
  if (step.text("behavior") != "Isolated") step.fail("behavior", "'Isolated'");
  if (step.boolean("invert", false)) step.fail("invert", "false");
  for (const auto& [known, name] : kPatterns) {
    if (text == known) return name;
  }
  fail_input("{}: Regex: the pattern {} is not supported; supported: those of GPT-2, Llama-3 and Qwen2",
             pattern.source(), printable(text));
}

/// The first of two steps, of which the other is byte-level.
std::string split_of_first(const JsonFields& first, const JsonFields& second) {
  if (first.text("type") == "Split") {
    check_byte_level(second, false);
    return split_of_pattern(first);
  }
  if (first.text("type") != "Digits") first.fail("type", "'Split' or 'Digits' before 'ByteLevel'");
  if (!first.boolean("individual_digits", false)) first.fail("individual_digits", "true");
  check_byte_level(second, true);
  return "smollm";
}

/// The token of a template [token, text]; nothing of [text].
std::optional<std::int64_t> leading_token_of(const JsonFields& step) {
  const json& single = step.array("single");
  const auto holds = [&](std::size_t at, const char* kind) {
    return single[at].is_object() && single[at].contains(kind);
  };
  if (single.size() == 1 && holds(0, "Sequence")) return std::nullopt;
  if (single.size() != 2 || !holds(0, "SpecialToken") || !holds(1, "Sequence")) {
    step.fail("single", "the text, or one token and the text");
  }
  const JsonFields special(step.source() + ": single", single[0]);
  const std::string name = special.object("SpecialToken").text("id");
  const JsonFields token = step.object("special_tokens").object(name);
  const json& ids = token.array("ids");
  if (ids.size() != 1 || !ids[0].is_number_unsigned()) token.fail("ids", "one id");
  return ids[0].get<std::int64_t>();
}

}  // namespace

std::vector<JsonFields> steps_of(const JsonFields& tokenizer, const std::string& key, const char* list) {
  const JsonFields step = tokenizer.object(key);
  if (step.text("type") != "Sequence") return {step};
  std::vector<JsonFields> steps;
  for (const json& part : step.array(list)) steps.emplace_back(step.source(), part);
  return steps;
}

std::string split_of_pre_tokenizer(const JsonFields& tokenizer) {
  const auto steps = steps_of(tokenizer, "pre_tokenizer", "pretokenizers");
  if (steps.size() == 2) return split_of_first(steps[0], steps[1]);
  if (steps.size() != 1) tokenizer.fail("pre_tokenizer", kSupported);
  check_byte_level(steps[0], true);
  return "gpt2";
}

void check_byte_level_decoder(const JsonFields& tokenizer) {
  if (!tokenizer.has("decoder")) return;
  for (const JsonFields& step : steps_of(tokenizer, "decoder", "decoders")) {
    if (step.text("type") != "ByteLevel") step.fail("type", "'ByteLevel', as byte_fallback is false");
  }
}

bool normalises_to_nfc(const JsonFields& tokenizer) {
  if (!tokenizer.has("normalizer")) return false;
  const auto steps = steps_of(tokenizer, "normalizer", "normalizers");
  for (const JsonFields& step : steps) {
    if (step.text("type") != "NFC") step.fail("type", "'NFC', or no normalizer");
  }
  return !steps.empty();
}

std::optional<std::int64_t> leading_token(const JsonFields& tokenizer) {
  if (!tokenizer.has("post_processor")) return std::nullopt;
  std::optional<std::int64_t> token;
  for (const JsonFields& step : steps_of(tokenizer, "post_processor", "processors")) {
    const std::string& type = step.text("type");
    if (type == "ByteLevel") continue;  // it trims offsets, which nobody here reads
    if (type != "TemplateProcessing" || token) step.fail("type", "'ByteLevel', or 'TemplateProcessing' once");
    token = leading_token_of(step);
  }
  return token;
}

}  // namespace tide
