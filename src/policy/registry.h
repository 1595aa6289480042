#pragma once
// From a policy spec (contracts.md section 2) to a policy bound to a model.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decode/policy.h"

namespace tide {

/// What a policy is bound to.
struct PolicyContext {
  const ModelConfig* config = nullptr;
  std::string model_sha256;  ///< checked against a head map's and a calibration's
};

/// `name:key=value,…`, or `@FILE`, a plan's placement.toml, -> policy. Throws InputError: unknown name or key
/// (with the nearest one), a bad value, a placement that names an absent layer or reads before any selection,
/// a budget out of bounds, a head map of another model.
std::shared_ptr<const AttentionPolicy> make_policy(std::string_view spec, const PolicyContext& context);

/// Names that make_policy takes.
std::vector<std::string> policy_names();

}  // namespace tide
