#pragma once
// Byte-level BPE tokenizers and chat templates.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

class GgufFile;

/// The pieces of a byte-level BPE tokenizer, whichever file they came from.
struct TokenizerData {
  std::vector<std::string> tokens;  ///< by id; byte-level alphabet (GPT-2) for ordinary tokens
  std::vector<std::string> merges;  ///< "left right", by rank
  std::vector<bool> is_special;     ///< by id: control and user-defined tokens, matched whole in text
  std::string split;                ///< "gpt2" or "smollm": how text is cut before merging
  std::string chat_template;        ///< the checkpoint's own template text; empty: none
  std::int32_t bos_id = -1;
  std::int32_t eos_id = -1;
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
  /// `answer_prefix` as the beginning of that turn. chatml: the checkpoint's default system message is
  /// added when there is none, as its template does. Names of special tokens inside a message become those
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

}  // namespace tide
