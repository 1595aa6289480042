#include "model/weight_type.h"

#include "base/error.h"

namespace tide {

WeightType weight_type_of(const std::string& name) {
  if (name == "fp32") return WeightType::f32;
  if (name == "bf16") return WeightType::bf16;
  if (name == "q8_0") return WeightType::q8_0;
  fail_input("dtype: '{}' is unknown, expected bf16, fp32 or q8_0", name);
}

const char* name_of(WeightType type) {
  switch (type) {
    case WeightType::f32:
      return "fp32";
    case WeightType::bf16:
      return "bf16";
    case WeightType::q8_0:
      return "q8_0";
  }
  return "";
}

}  // namespace tide
