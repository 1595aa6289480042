#pragma once
// How a model's weights lie in memory.

#include <cstdint>
#include <string>

namespace tide {

/// q8_0: blocks of 32 values in 8 bits that share a binary16 scale (kernels/linear_q8.h).
enum class WeightType : std::uint8_t { f32, bf16, q8_0 };

/// The type that users call "fp32", "bf16" or "q8_0". Throws InputError naming the three.
WeightType weight_type_of(const std::string& name);
/// "fp32", "bf16" or "q8_0"
const char* name_of(WeightType type);

}  // namespace tide
