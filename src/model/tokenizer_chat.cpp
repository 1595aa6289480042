#include "model/tokenizer_chat.h"

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr const char* kSupported = "supported: chatml, llama-2, llama-3, mistral, qwen; or prompt it raw";

/// A template of one of these families writes nothing but its tags' output.
bool writes_between_tags(const ChatTemplate& chat_template) {
  return !chat_template.text_between_tags().empty();
}

/// Turns of any role, put together from the role and the content.
bool is_chatml(const ChatTemplate& chat_template) {
  return chat_template.has_around_name("'<|im_start|>'+", ".role+'\\n'+") ||
         chat_template.text_between_tags().find("<|im_start|>") != std::string::npos;
}

/// A system message of the template's own, which would stand where none is given.
bool has_own_system_message(const ChatTemplate& chat_template) {
  return chat_template.variable("system_message").has_value() && !chat_template.has("{%eliffalse==true");
}

bool is_mistral(const ChatTemplate& chat_template) {
  return chat_template.has("[/INST]") && !chat_template.has("<<SYS>>") &&
         !chat_template.has("[SYSTEM_PROMPT]") && !has_own_system_message(chat_template);
}

bool is_llama3(const ChatTemplate& chat_template) {
  return chat_template.has("'<|start_header_id|>'+message.role+'<|end_header_id|>\\n\\n'+message.content") &&
         chat_template.has("'<|start_header_id|>assistant<|end_header_id|>\\n\\n'");
}

bool is_llama2(const ChatTemplate& chat_template) {
  return chat_template.has("'<<SYS>>\\n'+system_message+'\\n<</SYS>>\\n\\n'+message.content") &&
         chat_template.has("{{bos_token+'[INST] '+content.strip()+' [/INST]'}}") &&
         chat_template.has("{{' '+content.strip()+' '+eos_token}}") && !has_own_system_message(chat_template);
}

}  // namespace

ChatFamily chat_family(const ChatTemplate& chat_template) {
  if (chat_template.source().empty()) {
    fail_input("the checkpoint has no chat template (tokenizer.chat_template); {}", kSupported);
  }
  if (is_chatml(chat_template)) {
    return chat_template.has("'</think>'inmessage.content") || chat_template.has("'</think>'incontent")
               ? ChatFamily::qwen
               : ChatFamily::chatml;
  }
  if (!writes_between_tags(chat_template)) {
    if (is_llama3(chat_template)) return ChatFamily::llama3;
    if (is_llama2(chat_template)) return ChatFamily::llama2;
    if (is_mistral(chat_template)) return ChatFamily::mistral;
  }
  fail_input("the checkpoint's chat template '{}' is of no known family; {}",
             printable(chat_template.source()), kSupported);
}

std::vector<const char*> chat_tokens(ChatFamily family) {
  switch (family) {
    case ChatFamily::chatml:
    case ChatFamily::qwen:
      return {"<|im_start|>", "<|im_end|>"};
    case ChatFamily::llama3:
      return {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
    default:
      return {};
  }
}

std::string render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                        std::string_view answer_prefix, const EndTokens& tokens) {
  const ChatTemplate parsed(chat_template);
  const ChatFamily family = chat_family(parsed);
  if (messages.empty()) fail_input("a conversation holds at least one message, got none");
  for (const ChatMessage& message : messages) {
    if (message.role == "system" || message.role == "user" || message.role == "assistant") continue;
    fail_input("chat role '{}': system, user or assistant expected", printable(message.role));
  }
  const auto render = [&] {
    switch (family) {
      case ChatFamily::chatml:
        return render_chatml(parsed, messages, tokens);
      case ChatFamily::qwen:
        return render_qwen(parsed, messages);
      case ChatFamily::llama2:
        return render_llama2(messages, tokens);
      case ChatFamily::llama3:
        return render_llama3(parsed, messages, tokens);
      default:
        return render_mistral(parsed, messages, tokens);
    }
  };
  return render().append(answer_prefix);
}

}  // namespace tide
