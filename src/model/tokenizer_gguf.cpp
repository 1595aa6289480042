// The tokenizer of a GGUF file.

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "model/gguf.h"
#include "model/printable.h"
#include "model/tokenizer.h"

namespace tide {

namespace {

// tokenizer.ggml.token_type
constexpr std::int64_t kControl = 3;
constexpr std::int64_t kUserDefined = 4;

/// Our split pattern by its name in tokenizer.ggml.pre.
std::string split_of(const GgufFile& file) {
  constexpr std::array<std::pair<const char*, const char*>, 2> kSplits = {
      {{"smollm", "smollm"}, {"gpt-2", "gpt2"}}};
  const std::string& pre = file.text("tokenizer.ggml.pre");
  for (const auto& [name, split] : kSplits) {
    if (pre == name) return split;
  }
  fail_input("{}: tokenizer.ggml.pre: split pattern '{}' is not supported; supported: smollm, gpt-2",
             file.path().string(), printable(pre));
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

std::vector<bool> special_tokens(const GgufFile& file, std::size_t vocab_size) {
  const auto types = file.integers("tokenizer.ggml.token_type");
  if (types.size() != vocab_size) {
    fail_input("{}: tokenizer.ggml.token_type: {} types expected, one a token, got {}", file.path().string(),
               vocab_size, types.size());
  }
  std::vector<bool> is_special(vocab_size);
  std::transform(types.begin(), types.end(), is_special.begin(),
                 [](std::int64_t type) { return type == kControl || type == kUserDefined; });
  return is_special;
}

}  // namespace

TokenizerData read_tokenizer(const GgufFile& file) {
  const std::string& model = file.text("tokenizer.ggml.model");
  if (model != "gpt2") {
    fail_input("{}: tokenizer.ggml.model: '{}' is not supported; supported: gpt2 (byte-level BPE)",
               file.path().string(), printable(model));
  }
  TokenizerData data;
  data.split = split_of(file);
  data.tokens = file.texts("tokenizer.ggml.tokens");
  data.merges = file.texts("tokenizer.ggml.merges");
  data.is_special = special_tokens(file, data.tokens.size());
  data.bos_id = id_of(file, "tokenizer.ggml.bos_token_id", data.tokens.size());
  data.eos_id = id_of(file, "tokenizer.ggml.eos_token_id", data.tokens.size());
  if (const auto eot = id_of(file, "tokenizer.ggml.eot_token_id", data.tokens.size()); eot >= 0) {
    data.more_eos_ids.push_back(eot);
  }
  if (file.has("tokenizer.ggml.add_bos_token")) data.add_bos = file.boolean("tokenizer.ggml.add_bos_token");
  if (file.has("tokenizer.chat_template")) data.chat_template = file.text("tokenizer.chat_template");
  return data;
}

}  // namespace tide
