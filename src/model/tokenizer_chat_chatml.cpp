// chatml: <|im_start|>ROLE, a line, the content, <|im_end|>. Qwen's newer templates are chatml whose
// assistant may have thought aloud.

#include "model/tokenizer_chat.h"

namespace tide {

namespace {

constexpr std::string_view kBegin = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>";
constexpr std::string_view kSystem = "<|im_start|>system";
constexpr std::string_view kThought = "</think>";

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

void append_turn(std::string& text, std::string_view role, std::string_view content) {
  ((((text += kBegin) += role) += '\n') += content) += kEnd;
  text += '\n';
}

std::string_view without(std::string_view text, char c, bool at_front, bool at_back) {
  while (at_front && text.starts_with(c)) text.remove_prefix(1);
  while (at_back && text.ends_with(c)) text.remove_suffix(1);
  return text;
}

/// An assistant's message as what it thought and what it said.
struct Answer {
  explicit Answer(std::string_view content) : said(content) {
    const auto last = content.rfind(kThought);
    if (last == std::string_view::npos) return;
    said = without(content.substr(last + kThought.size()), '\n', true, false);
    thought = without(content.substr(0, content.find(kThought)), '\n', false, true);
    if (const auto open = thought.rfind("<think>"); open != std::string_view::npos) {
      thought.remove_prefix(open + std::string_view("<think>").size());
    }
    thought = without(thought, '\n', true, false);
  }
  std::string_view thought, said;
};

std::size_t last_user_message(std::span<const ChatMessage> messages) {
  for (std::size_t i = messages.size(); i > 0; --i) {
    const auto& [role, content] = messages[i - 1];
    const bool of_a_tool = content.starts_with("<tool_response>") && content.ends_with("</tool_response>");
    if (role == "user" && !of_a_tool) return i - 1;
  }
  return messages.size() - 1;
}

/// An answer to the last question shows its thought; the ones before leave it out.
std::string thoughtful(const Answer& answer, bool is_after_last_question, bool is_last) {
  if (!is_after_last_question || (!is_last && answer.thought.empty())) return std::string(answer.said);
  std::string content = "<think>\n";
  (content += without(answer.thought, '\n', true, true)) += "\n</think>\n\n";
  return content += without(answer.said, '\n', true, false);
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

std::string render_chatml(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                          const EndTokens& tokens) {
  std::string text;
  if (chat_template.has("{{bos_token}}") || chat_template.has("{{bos_token+")) text += tokens.bos;
  if (messages.front().role != "system") {
    if (const auto message = default_system_message(chat_template.source())) {
      append_turn(text, "system", *message);
    }
  }
  const bool trims = chat_template.has("message.content|trim+'<|im_end|>");
  for (const auto& [role, content] : messages) {
    append_turn(text, role, trims ? stripped(content) : std::string_view(content));
  }
  return (text += kBegin) += "assistant\n";
}

std::string render_qwen(const ChatTemplate& chat_template, std::span<const ChatMessage> messages) {
  std::string text;
  if (messages.front().role != "system") {
    if (const auto message = default_system_message(chat_template.source())) {
      append_turn(text, "system", *message);
    }
  }
  const std::size_t question = last_user_message(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, content] = messages[i];
    if (role == "assistant") {
      append_turn(text, role, thoughtful(Answer(content), i > question, i + 1 == messages.size()));
    } else {
      append_turn(text, role, content);
    }
  }
  return (text += kBegin) += "assistant\n";
}

}  // namespace tide
