#pragma once
// Byte-level BPE tokenizers and chat templates.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

class GgufFile;

/// The pieces of a byte-level BPE tokenizer, whichever file they came from.
struct TokenizerData {
  /// By id; byte-level alphabet (GPT-2) for ordinary tokens. Empty: an id that no token has, as where a
  /// vocabulary is padded.
  std::vector<std::string> tokens;
  std::vector<std::string> merges;  ///< "left right", by rank
  std::vector<bool> is_special;     ///< by id: control and user-defined tokens, matched whole in text
  std::string split;                ///< how text is cut before merging: a name that Splitter knows
  bool nfc = false;                 ///< text is brought to Unicode's normal form C first
  bool ignore_merges = false;       ///< a piece that is a token is that token, whatever the merges give
  std::string chat_template;        ///< the checkpoint's own template text; empty: none
  std::int32_t bos_id = -1;
  std::int32_t eos_id = -1;
  std::vector<std::int32_t> more_eos_ids = {};  ///< others that end a text as eos_id does
  bool add_bos = false;
};

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
};

class Tokenizer {
 public:
  /// Throws InputError: a merge of an unknown token, a duplicate token, an unsupported split pattern.
  explicit Tokenizer(TokenizerData data);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  int vocab_size() const;
  std::int32_t eos_id() const;
  std::int32_t bos_id() const;
  /// Whether a text ends with this token: eos_id, or another that the checkpoint stops at.
  bool ends(std::int32_t id) const;
  /// Whether a text that begins a sequence begins with bos_id. encode, which also serves for parts of a
  /// sequence, never adds it.
  bool add_bos() const;

  /// Ids of a text. `parse_special`: names of special tokens in the text become those tokens, the longest
  /// name first. Runs of bytes that are not UTF-8 are merged by themselves. As in Hugging Face's
  /// tokenizers, a byte for which the vocabulary has no token gives nothing. Re-entrant.
  std::vector<std::int32_t> encode(std::string_view text, bool parse_special = false) const;
  /// Bytes of the ids; special tokens give their name when `keep_special`, else nothing. Throws
  /// InputError for an id outside the vocabulary, as token_bytes and is_special do.
  std::string decode(std::span<const std::int32_t> ids, bool keep_special = false) const;
  /// The bytes of one token (special tokens: their name).
  std::string token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;

  /// The conversation in the model's own template, ready for the assistant's turn, ending with
  /// `answer_prefix` as the beginning of that turn, with what the template adds of itself: a first token, a
  /// default system message. Names of special tokens inside a message become those
  /// tokens, as in transformers' apply_chat_template. Throws InputError for an unrecognised template, a role
  /// other than system, user and assistant, or no message.
  std::vector<std::int32_t> encode_chat(std::span<const ChatMessage> messages,
                                        std::string_view answer_prefix = "") const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads tokenizer.ggml.* of a GGUF file. Throws InputError naming the key.
TokenizerData read_tokenizer(const GgufFile& file);

/// Reads a Hugging Face folder: tokenizer.json (byte-level BPE) and, where they are there, the ids of the
/// begin and end tokens in generation_config.json, config.json and tokenizer_config.json (the first that has
/// them decides) and the chat template of chat_template.jinja or tokenizer_config.json. `vocab_size`: the
/// model's, at least the tokenizer's own. Throws InputError naming the file and the key.
TokenizerData read_hf_tokenizer(const std::filesystem::path& folder, int vocab_size);

}  // namespace tide
