#pragma once
// Chat templates, recognised by family rather than run: a template is a program, and no checkpoint's
// program is run here.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/tokenizer.h"

namespace tide {

/// The system message that a chatml template adds to a conversation that begins without one, read from
/// the template's text; nullopt when it adds none.
std::optional<std::string> default_system_message(std::string_view chat_template);

/// The conversation as text, in the family of `chat_template`, ending with the beginning of the
/// assistant's turn. Throws InputError: no template, another family than chatml, no message, a role
/// other than system, user and assistant.
std::string render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                        std::string_view answer_prefix);

}  // namespace tide
