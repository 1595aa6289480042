#pragma once
// Which layer plays which role.

#include <vector>

#include "decode/policy.h"

namespace tide {

class PolicySpec;

/// How the methods whose chosen sets serve later layers differ in their placement.
struct ReusePlacement {
  std::vector<int> select;   ///< what `select` is when it is left out
  std::string full = "0-1";  ///< what `full` is when it is left out
  Role chooser =
      Role::select;  ///< of the layers in `select`; estimate: layer 0, if among them, selects all the same
  bool full_after = false;  ///< the layer after a chooser is full unless it chooses itself
};

/// Placement of such a method, from `placement=FFS…` or from `full=` and `select=` (layers before the first
/// in `select` are full). Writes the canonical key. Throws InputError: an absent layer or one named twice, a
/// sparse layer before any that chooses, a placement of another length, a letter that the method has no use
/// for.
std::vector<Role> take_reuse_placement(PolicySpec& spec, const ModelConfig& config,
                                       const ReusePlacement& method);

/// TidalDecode's choosing layers for any depth: layer 2, and the paper's middle layer, 13 of 32 (its section
/// 4.4), at the same depth.
std::vector<int> tidal_layers(int n_layers);

/// Layers of a model of `paper_layers` at the same depth in one of n_layers, ascending, each once.
std::vector<int> at_same_depth(const std::vector<int>& layers, int paper_layers, int n_layers);

/// Placement of a method in which every layer but the full ones plays `role`, from `placement=` or `full=`.
std::vector<Role> take_uniform_placement(PolicySpec& spec, const ModelConfig& config, Role role,
                                         const std::string& default_full);

}  // namespace tide
