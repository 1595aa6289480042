#include "model/tokenizer_chat.h"

#include <utility>

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr std::string_view kBegin = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>";
constexpr std::string_view kSystem = "<|im_start|>system";

/// A string literal's text with its escapes \n, \t, \\ and \' resolved.
std::string unescaped(std::string_view literal) {
  std::string text;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    const bool escape = literal[i] == '\\' && i + 1 < literal.size();
    const char c = escape ? literal[++i] : literal[i];
    text += escape && c == 'n' ? '\n' : escape && c == 't' ? '\t' : c;
  }
  return text;
}

/// Whether `text` runs out of its literal: past the quote that opened it, or into a template's statement.
bool leaves_literal(std::string_view text, char quote) {
  if (quote != '\'' && quote != '"') return text.find('{') != std::string_view::npos;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

bool known_role(std::string_view role) { return role == "system" || role == "user" || role == "assistant"; }

void append_turn(std::string& text, std::string_view role, std::string_view content) {
  ((((text += kBegin) += role) += '\n') += content) += kEnd;
  text += '\n';
}

}  // namespace

std::optional<std::string> default_system_message(std::string_view chat_template) {
  // What is sought is a whole system turn inside one literal: the turn of a message that was given is
  // put together from several.
  for (auto at = chat_template.find(kSystem); at != std::string_view::npos;
       at = chat_template.find(kSystem, at + 1)) {
    std::string_view rest = chat_template.substr(at + kSystem.size());
    const auto end = rest.find(kEnd);
    if (end == std::string_view::npos) continue;
    const char quote = at == 0 ? '\0' : chat_template[at - 1];
    if (leaves_literal(rest.substr(0, end), quote)) continue;
    const std::string message = unescaped(rest.substr(0, end));
    if (message.starts_with('\n')) return message.substr(1);
  }
  return std::nullopt;
}

std::string render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                        std::string_view answer_prefix) {
  if (chat_template.empty()) {
    fail_input(
        "the checkpoint has no chat template (tokenizer.chat_template); supported: chatml; or prompt it raw");
  }
  if (chat_template.find(kBegin) == std::string_view::npos) {
    fail_input("the checkpoint's chat template '{}' is of no known family; supported: chatml ({}role …)",
               printable(chat_template), kBegin);
  }
  if (messages.empty()) fail_input("a conversation holds at least one message, got none");
  std::string text;
  if (messages.front().role != "system") {
    if (const auto message = default_system_message(chat_template)) append_turn(text, "system", *message);
  }
  for (const auto& [role, content] : messages) {
    if (!known_role(role)) {
      fail_input("chat role '{}': system, user or assistant expected", printable(role));
    }
    append_turn(text, role, content);
  }
  return ((text += kBegin) += "assistant\n") += answer_prefix;
}

}  // namespace tide
