#pragma once
// Chat templates, recognised by family rather than run: a template is a program, and no checkpoint's
// program is run here.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"
#include "model/tokenizer_chat_template.h"

namespace tide {

enum class ChatFamily : std::uint8_t { chatml, qwen, llama2, llama3, mistral };

/// The family of a template. Throws InputError: no template, none of these families.
ChatFamily chat_family(const ChatTemplate& chat_template);

/// Tokens that a family's turns are made of, which the vocabulary must have.
std::vector<const char*> chat_tokens(ChatFamily family);

/// Names of the tokens that templates call bos_token and eos_token; empty: the vocabulary has none.
struct EndTokens {
  std::string bos, eos;
};

/// The system message that a chatml template adds to a conversation that begins without one, read from
/// the template's text; nullopt when it adds none.
std::optional<std::string> default_system_message(std::string_view chat_template);

/// The conversation as text, as the template gives it, ending with the beginning of the assistant's turn.
/// llama-3's templates that name today's date get the one that they fall back to without a clock: a prompt
/// repeats. Throws InputError: no template, an unrecognised one, no message, a role other than system, user
/// and assistant, an order of roles that the family does not take.
std::string render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                        std::string_view answer_prefix, const EndTokens& tokens = {});

// One a family: the conversation up to the beginning of the assistant's turn.
std::string render_chatml(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                          const EndTokens& tokens);
std::string render_qwen(const ChatTemplate& chat_template, std::span<const ChatMessage> messages);
std::string render_llama2(std::span<const ChatMessage> messages, const EndTokens& tokens);
std::string render_llama3(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                          const EndTokens& tokens);
std::string render_mistral(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                           const EndTokens& tokens);

}  // namespace tide
