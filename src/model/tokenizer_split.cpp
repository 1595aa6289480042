#include "model/tokenizer_split.h"

#include <algorithm>
#include <array>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_normal.h"

namespace tide {

namespace {

/// Unicode's White_Space, spelt out: PCRE2's own \s takes U+180E too, which Unicode has dropped since.
const std::string kSpace =
    R"(\x{09}-\x{0d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
const std::string kContractions = "'(?:[stmd]|re|ve|ll)";
const std::string kSigns = " ?[^" + kSpace + R"(\p{L}\p{N}]++)";

/// White space: a run of it leaves its last character to what follows it, save at the end of the text and
/// before a character of the class `ends_text`.
std::string spaces(const std::string& ends_text) {
  return "[" + kSpace + "]+(?![^" + kSpace + ends_text + "])|[" + kSpace + "]++";
}

/// GPT-2's published pattern (Radford et al., 2019): English contractions, words, `numbers`, other signs,
/// white space.
std::string gpt2(const std::string& numbers, const std::string& ends_text) {
  return kContractions + R"(| ?\p{L}++|)" + numbers + "|" + kSigns + "|" + spaces(ends_text);
}

/// The pattern that Llama-3 and Qwen2 publish in their tokenizer.json: contractions in either case, a word
/// takes any one sign before it, and ends of line stay with what they end.
std::string line_ends(const std::string& numbers) {
  return "(?i:" + kContractions + R"()|[^\r\n\p{L}\p{N}]?\p{L}++|)" + numbers + "|" + kSigns +
         R"([\r\n]*+|[)" + kSpace + R"(]*[\r\n]++|)" + spaces("");
}

std::string regex_of(const std::string& name) {
  if (name == "gpt2") return gpt2(R"( ?\p{N}++)", "");
  // Digits are cut out first, and GPT-2's pattern sees what lies between two of them as a text.
  if (name == "smollm") return gpt2(R"(\p{N})", R"(\p{N})");
  if (name == "llama3") return line_ends(R"(\p{N}{1,3}+)");
  if (name == "qwen2") return line_ends(R"(\p{N})");
  fail_input(
      "tokenizer split pattern '{}' is not supported; supported: gpt2, smollm, llama3, qwen2, none, marks",
      printable(name));
}

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Splitter::Impl {
  pcre2_code* code = nullptr;  ///< nullptr: no pattern cuts the text
  bool at_marks = false;
};

struct Splitter::Scratch::Impl {
  pcre2_match_data* match = nullptr;
};

Splitter::Scratch::Scratch(const Splitter& splitter) : impl_(std::make_unique<Impl>()) {
  if (splitter.impl_->code == nullptr) return;
  impl_->match = pcre2_match_data_create_from_pattern(splitter.impl_->code, nullptr);
  if (impl_->match == nullptr) fail_work("pcre2_match_data_create: out of memory");
}

Splitter::Scratch::~Scratch() { pcre2_match_data_free(impl_->match); }

Splitter::Splitter(const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->at_marks = name == "marks";
  if (name == "none" || name == "marks") return;
  const std::string pattern = regex_of(name);
  int error = 0;
  PCRE2_SIZE where = 0;
  impl_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_ANCHORED, &error, &where, nullptr);
  if (impl_->code == nullptr) fail_work("pcre2_compile: {} at {} of {}", message_of(error), where, pattern);
  // Without a just-in-time compiler for this processor the interpreter matches the same.
  pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE);
}

Splitter::~Splitter() { pcre2_code_free(impl_->code); }

std::size_t Splitter::piece_end(std::string_view text, std::size_t begin, Scratch& scratch) const {
  if (impl_->code == nullptr) {
    return impl_->at_marks ? std::min(text.find(kSpaceMark, begin + 1), text.size()) : text.size();
  }
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(impl_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                       PCRE2_NO_UTF_CHECK | options, scratch.impl_->match, nullptr);
  };
  int result = match(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NO_JIT);
  if (result < 0) fail_work("pcre2_match at byte {}: {}", begin, message_of(result));
  return pcre2_get_ovector_pointer(scratch.impl_->match)[1];
}

}  // namespace tide
