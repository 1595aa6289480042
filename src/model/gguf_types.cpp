#include "model/gguf_types.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace tide {

namespace {

constexpr std::array<std::pair<TensorType, GgufLayout>, 11> kLayouts = {{
    {TensorType::f32, {"F32", 1, 4}},
    {TensorType::f16, {"F16", 1, 2}},
    {TensorType::bf16, {"BF16", 1, 2}},
    {TensorType::q8_0, {"Q8_0", 32, 2 + 32}},
    {TensorType::q4_0, {"Q4_0", 32, 2 + 16}},
    {TensorType::q4_1, {"Q4_1", 32, 2 + 2 + 16}},
    {TensorType::q5_0, {"Q5_0", 32, 2 + 4 + 16}},
    {TensorType::q5_1, {"Q5_1", 32, 2 + 2 + 4 + 16}},
    {TensorType::q4_k, {"Q4_K", 256, 2 + 2 + 12 + 128}},
    {TensorType::q5_k, {"Q5_K", 256, 2 + 2 + 12 + 32 + 128}},
    {TensorType::q6_k, {"Q6_K", 256, 128 + 64 + 16 + 2}},
}};

/// Names by number; empty where the format has retired the number or never used it.
constexpr std::array<const char*, 40> kNames = {
    "F32",    "F16",   "Q4_0",  "Q4_1",   "",      "",      "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   "",      "",      "",       "TQ1_0", "TQ2_0", "",        "",       "",        "MXFP4",
};

}  // namespace

const GgufLayout* gguf_layout(std::uint32_t type) {
  for (const auto& [known, layout] : kLayouts) {
    if (static_cast<std::uint32_t>(known) == type) return &layout;
  }
  return nullptr;
}

std::string gguf_type_name(std::uint32_t type) {
  if (type < kNames.size() && kNames[type][0] != '\0') return kNames[type];
  return fmt::format("unknown type {}", type);
}

std::string supported_gguf_types() {
  std::string names;
  for (const auto& [type, layout] : kLayouts) names += (names.empty() ? "" : ", ") + std::string(layout.name);
  return names;
}

}  // namespace tide
