#pragma once
// Which layer plays which role.

#include <vector>

#include "decode/policy.h"

namespace tide {

class PolicySpec;

/// Placement of a method whose select layers serve later ones, from `placement=FFS…` or from `full=`
/// and `select=` (layers before the first select layer are full). Writes the canonical keys.
/// Throws InputError: an absent layer or one named twice, a sparse layer before any selection, a
/// placement of another length, a letter that the method has no use for.
std::vector<Role> take_reuse_placement(PolicySpec& spec, const ModelConfig& config,
                                       const std::vector<int>& default_select);

/// Placement of a method in which every layer but the full ones plays `role`, from `placement=` or `full=`.
std::vector<Role> take_uniform_placement(PolicySpec& spec, const ModelConfig& config, Role role,
                                         const std::string& default_full);

}  // namespace tide
