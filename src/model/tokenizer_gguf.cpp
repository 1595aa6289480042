// The tokenizer of a GGUF file.

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/gguf.h"
#include "model/printable.h"
#include "model/tokenizer.h"

namespace tide {

namespace {

/// tokenizer.ggml.token_type
enum TokenType : std::int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

/// What a name in tokenizer.ggml.pre stands for.
struct Pre {
  const char* name;
  const char* split;
  bool nfc, ignore_merges, add_bos;
};

/// As the models' own tokenizer.json has it: NFC and whole pieces stand in no key of a GGUF file.
constexpr std::array<Pre, 4> kPres = {{{"gpt-2", "gpt2", false, false, false},
                                       {"smollm", "smollm", false, false, false},
                                       {"llama-bpe", "llama3", false, true, true},
                                       {"qwen2", "qwen2", true, false, false}}};

const Pre& pre_of(const GgufFile& file) {
  const std::string& name = file.text("tokenizer.ggml.pre");
  for (const Pre& pre : kPres) {
    if (name == pre.name) return pre;
  }
  fail_input(
      "{}: tokenizer.ggml.pre: split pattern '{}' is not supported; supported: gpt-2, smollm, "
      "llama-bpe, qwen2",
      file.path().string(), printable(name));
}

/// An optional token id; -1 when the key is missing.
std::int32_t id_of(const GgufFile& file, const std::string& key, std::size_t vocab_size) {
  if (!file.has(key)) return -1;
  const std::int64_t id = file.integer(key);
  if (id < 0 || id >= static_cast<std::int64_t>(vocab_size)) {
    fail_input("{}: {}: a token id below {} expected, got {}", file.path().string(), key, vocab_size, id);
  }
  return static_cast<std::int32_t>(id);
}

/// Types of the tokens, one each.
std::vector<std::int64_t> token_types(const GgufFile& file, std::size_t vocab_size) {
  auto types = file.integers("tokenizer.ggml.token_type");
  if (types.size() != vocab_size) {
    fail_input("{}: tokenizer.ggml.token_type: {} types expected, one a token, got {}", file.path().string(),
               vocab_size, types.size());
  }
  for (std::size_t id = 0; id < vocab_size; ++id) {
    if (types[id] < kNormal || types[id] > kByte) {
      fail_input("{}: tokenizer.ggml.token_type: type {} of token {}, expected 1 to 6", file.path().string(),
                 types[id], id);
    }
  }
  return types;
}

void mark_names(TokenizerData& data, const std::vector<std::int64_t>& types) {
  data.is_special.resize(types.size());
  for (std::size_t id = 0; id < types.size(); ++id) {
    data.is_special[id] = types[id] == kControl || types[id] == kUnknown;
    if (types[id] == kUserDefined) data.added.push_back(static_cast<std::int32_t>(id));
  }
}

/// The scores of normal tokens: no other comes of a merge.
std::vector<float> merged_scores(const GgufFile& file, const std::vector<std::int64_t>& types) {
  const auto& given = file.numbers("tokenizer.ggml.scores");
  if (given.size() != types.size()) {
    fail_input("{}: tokenizer.ggml.scores: {} scores expected, one a token, got {}", file.path().string(),
               types.size(), given.size());
  }
  std::vector<float> scores(given.size(), -std::numeric_limits<float>::infinity());
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (!std::isfinite(given[id])) {
      fail_input("{}: tokenizer.ggml.scores: score {} of token {}, a finite number expected",
                 file.path().string(), given[id], id);
    }
    if (types[id] == kNormal) scores[id] = static_cast<float>(given[id]);
  }
  return scores;
}

/// An optional boolean.
bool flag(const GgufFile& file, const std::string& key, bool fallback) {
  return file.has(key) ? file.boolean(key) : fallback;
}

/// Byte-level BPE.
void read_byte_level(const GgufFile& file, TokenizerData& data) {
  const Pre& pre = pre_of(file);
  data.split = pre.split;
  data.nfc = pre.nfc;
  data.ignore_merges = pre.ignore_merges;
  data.merges = file.texts("tokenizer.ggml.merges");
}

/// BPE of SentencePiece, with byte fallback. Its normal forms other than the identity are refused.
void read_sentencepiece(const GgufFile& file, const std::vector<std::int64_t>& types, TokenizerData& data) {
  const std::string normal_form = "tokenizer.ggml.precompiled_charsmap";
  if (file.has(normal_form)) {
    fail_input("{}: {}: normal forms are not supported", file.path().string(), normal_form);
  }
  const std::string fewer_spaces = "tokenizer.ggml.remove_extra_whitespaces";
  if (flag(file, fewer_spaces, false)) {
    fail_input("{}: {} is true, supported is false", file.path().string(), fewer_spaces);
  }
  data.alphabet = Alphabet::byte_fallback;
  data.marks_in_normal_form = true;
  data.split = "none";
  data.scores = merged_scores(file, types);
  const bool prefix = flag(file, "tokenizer.ggml.add_space_prefix", true);
  data.space_prefix = prefix ? SpacePrefix::always : SpacePrefix::none;
  data.strips_space = prefix;
}

}  // namespace

TokenizerData read_tokenizer(const GgufFile& file) {
  const std::string& model = file.text("tokenizer.ggml.model");
  if (model != "gpt2" && model != "llama") {
    fail_input(
        "{}: tokenizer.ggml.model: '{}' is not supported; supported: gpt2 (byte-level BPE) and llama "
        "(SentencePiece BPE with byte fallback)",
        file.path().string(), printable(model));
  }
  TokenizerData data;
  data.tokens = file.texts("tokenizer.ggml.tokens");
  const auto types = token_types(file, data.tokens.size());
  mark_names(data, types);
  if (model == "gpt2") {
    read_byte_level(file, data);
  } else {
    read_sentencepiece(file, types, data);
  }
  data.bos_id = id_of(file, "tokenizer.ggml.bos_token_id", data.tokens.size());
  data.eos_id = id_of(file, "tokenizer.ggml.eos_token_id", data.tokens.size());
  if (const auto eot = id_of(file, "tokenizer.ggml.eot_token_id", data.tokens.size()); eot >= 0) {
    data.more_eos_ids.push_back(eot);
  }
  const bool begins_with_bos = model == "llama" || pre_of(file).add_bos;
  data.add_bos = flag(file, "tokenizer.ggml.add_bos_token", begins_with_bos && data.bos_id >= 0);
  if (file.has("tokenizer.chat_template")) data.chat_template = file.text("tokenizer.chat_template");
  return data;
}

}  // namespace tide
