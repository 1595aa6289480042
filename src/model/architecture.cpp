#include "model/architecture.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tide {

namespace {

constexpr std::array<Architecture, 4> kArchitectures = {{
    {.name = "llama",
     .hf_class = "LlamaForCausalLM",
     .in_gguf = true,
     .interleaved_in_gguf = true,
     .qkv_bias = false,
     .attention_bias = true,
     .qk_norm = false,
     .kv_heads_optional = true,
     .default_head_dim = 0,
     .windows = Architecture::Windows::none},
    {.name = "mistral",
     .hf_class = "MistralForCausalLM",
     .in_gguf = false,
     .interleaved_in_gguf = false,
     .qkv_bias = false,
     .attention_bias = false,
     .qk_norm = false,
     .kv_heads_optional = false,
     .default_head_dim = 0,
     .windows = Architecture::Windows::all_layers},
    {.name = "qwen2",
     .hf_class = "Qwen2ForCausalLM",
     .in_gguf = true,
     .interleaved_in_gguf = false,
     .qkv_bias = true,
     .attention_bias = false,
     .qk_norm = false,
     .kv_heads_optional = false,
     .default_head_dim = 0,
     .windows = Architecture::Windows::some_layers},
    {.name = "qwen3",
     .hf_class = "Qwen3ForCausalLM",
     .in_gguf = true,
     .interleaved_in_gguf = false,
     .qkv_bias = false,
     .attention_bias = true,
     .qk_norm = true,
     .kv_heads_optional = false,
     .default_head_dim = 128,
     .windows = Architecture::Windows::some_layers},
}};

}  // namespace

const Architecture* find_architecture(const std::string& name) {
  const auto found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const Architecture& each) { return name == each.name; });
  return found == kArchitectures.end() ? nullptr : &*found;
}

std::string architecture_names(bool in_gguf) {
  std::vector<std::string> names;
  for (const Architecture& each : kArchitectures) {
    if (each.in_gguf || !in_gguf) names.push_back(std::string("'") + each.name + "'");
  }
  std::string text = names.front();
  for (std::size_t i = 1; i < names.size(); ++i) text += (i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

}  // namespace tide
