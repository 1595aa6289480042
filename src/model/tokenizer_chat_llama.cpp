// The families of Llama-2, Llama-3 and Mistral.

#include <array>

#include "base/error.h"
#include "model/printable.h"
#include "model/tokenizer_chat.h"

namespace tide {

namespace {

/// A conversation in which user and assistant take turns, after a system message at most.
struct Dialogue {
  Dialogue(std::span<const ChatMessage> messages, const char* family) : turns(messages) {
    if (turns.front().role == "system") {
      system = &turns.front().content;
      turns = turns.subspan(1);
    }
    for (std::size_t i = 0; i < turns.size(); ++i) {
      const char* expected = i % 2 == 0 ? "user" : "assistant";
      if (turns[i].role != expected) {
        fail_input("chat message {}: role '{}', expected '{}': in {} templates user and assistant take turns",
                   i + (system == nullptr ? 1 : 2), turns[i].role, expected, family);
      }
    }
    if (turns.empty()) fail_input("a conversation of a system message alone: a user's message expected");
  }
  const std::string* system = nullptr;
  std::span<const ChatMessage> turns;
};

const std::string& required(const std::string& token, const char* name) {
  if (token.empty()) fail_input("the chat template needs {}, but the vocabulary has none", name);
  return token;
}

// ---- Llama 3

constexpr std::string_view kKnowledge = "Cutting Knowledge Date: ";

void append_turn(std::string& text, std::string_view role, std::string_view content) {
  ((text += "<|start_header_id|>") += role) += "<|end_header_id|>\n\n";
  (text += content) += "<|eot_id|>";
}

/// What templates from Llama 3.1 on put before every system message; empty: nothing.
std::string preface(const ChatTemplate& chat_template) {
  const auto knowledge = chat_template.literal(kKnowledge);
  if (!knowledge) return "";
  const auto date = chat_template.variable("date_string");
  if (!date || !chat_template.has("{{'Today Date: '+date_string+'\\n\\n'}}")) {
    fail_input("the checkpoint's chat template names a date in a way that is not known: '{}'",
               printable(chat_template.source()));
  }
  return *knowledge + "Today Date: " + *date + "\n\n";
}

// ---- Mistral

/// How a mistral template spells its turns.
struct MistralTurns {
  std::string_view before, after;  ///< around a user's message
  bool system_in_first = false, system_in_last = false;
  std::string_view before_answer, after_answer;  ///< around an assistant's, the end token between
  bool trims_answer = false;
};

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

bool find_user_turn(const ChatTemplate& chat_template, MistralTurns& turns) {
  for (const std::string_view before : {"[INST] ", " [INST] ", "[INST]"}) {
    for (const std::string_view after : {" [/INST]", "[/INST]"}) {
      const std::string tail = "message.content+" + quoted(after) + "}}";
      if (!chat_template.has("{{" + quoted(before) + "+" + tail)) continue;
      turns.before = before;
      turns.after = after;
      if (chat_template.has("{{" + quoted(before) + "+system_message+'\\n\\n'+" + tail)) {
        turns.system_in_first = chat_template.has("{%ifloop.firstandsystem_messageisdefined%}");
        turns.system_in_last = chat_template.has("{%ifloop.lastandsystem_messageisdefined%}");
      }
      return true;
    }
  }
  return false;
}

bool find_answer(const ChatTemplate& chat_template, MistralTurns& turns) {
  for (const std::string_view before : {"", " "}) {
    for (const std::string_view trim : {"", "|trim"}) {
      for (const std::string_view after : {"", " "}) {
        std::string output = "{{" + (before.empty() ? "" : quoted(before) + "+") + "message.content";
        (output += trim) += "+eos_token" + (after.empty() ? "" : "+" + quoted(after)) + "}}";
        if (!chat_template.has(output)) continue;
        turns.before_answer = before;
        turns.after_answer = after;
        turns.trims_answer = !trim.empty();
        return true;
      }
    }
  }
  return false;
}

MistralTurns turns_of(const ChatTemplate& chat_template) {
  MistralTurns turns;
  if (!chat_template.has("{{bos_token}}") || !find_user_turn(chat_template, turns) ||
      !find_answer(chat_template, turns)) {
    fail_input(
        "the checkpoint's chat template '{}' is like mistral's, but spells its turns in an unknown way",
        printable(chat_template.source()));
  }
  return turns;
}

}  // namespace

std::string render_llama2(std::span<const ChatMessage> messages, const EndTokens& tokens) {
  const Dialogue dialogue(messages, "llama-2");
  std::string text;
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const auto& [role, given] = dialogue.turns[i];
    std::string content = given;
    if (i == 0 && dialogue.system != nullptr) {
      content = "<<SYS>>\n" + *dialogue.system + "\n<</SYS>>\n\n" + given;
    }
    if (role == "user") {
      ((text += required(tokens.bos, "bos_token")) += "[INST] ") += stripped(content);
      text += " [/INST]";
    } else {
      ((text += ' ') += stripped(content)) += ' ';
      text += required(tokens.eos, "eos_token");
    }
  }
  return text;
}

std::string render_llama3(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                          const EndTokens& tokens) {
  const bool trims = chat_template.has("message.content|trim+'<|eot_id|>'");
  const auto content_of = [&](const ChatMessage& message) {
    return trims ? stripped(message.content) : std::string_view(message.content);
  };
  std::string text = chat_template.has("bos_token") ? required(tokens.bos, "bos_token") : "";
  if (const std::string before = preface(chat_template); !before.empty()) {
    const bool given = messages.front().role == "system";
    append_turn(text, "system", before + std::string(given ? stripped(messages.front().content) : ""));
    if (given) messages = messages.subspan(1);
  }
  for (const ChatMessage& message : messages) append_turn(text, message.role, content_of(message));
  return text += "<|start_header_id|>assistant<|end_header_id|>\n\n";
}

std::string render_mistral(const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                           const EndTokens& tokens) {
  const MistralTurns spelled = turns_of(chat_template);
  const Dialogue dialogue(messages, "mistral");
  if (dialogue.system != nullptr && !spelled.system_in_first && !spelled.system_in_last) {
    fail_input("the checkpoint's chat template takes no system message");
  }
  std::string text = required(tokens.bos, "bos_token");
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const auto& [role, content] = dialogue.turns[i];
    if (role == "user") {
      const bool is_first = i == 0, is_last = i + 1 == dialogue.turns.size();
      text += spelled.before;
      if (dialogue.system != nullptr && (spelled.system_in_first ? is_first : is_last)) {
        (text += *dialogue.system) += "\n\n";
      }
      (text += content) += spelled.after;
    } else {
      (text += spelled.before_answer) += spelled.trims_answer ? stripped(content) : std::string_view(content);
      (text += required(tokens.eos, "eos_token")) += spelled.after_answer;
    }
  }
  return text;
}

}  // namespace tide
