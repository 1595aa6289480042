#pragma once
// Whether methods still read what an answer needs: the prompt's tokens that carry it (/tokens/evidence),
// how much attention full attention pays them, and whether they are in the sets that each layer reads.

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/sample_matrix.h"
#include "analysis/step_maps.h"

namespace tide::analysis {

/// Means over the steps and recordings of one policy, by layer and query head. A recording is one sample.
/// Only steps count at which the policy and the full run of the same prompt were fed the same tokens: up to
/// there the two differ by the method alone. `full` and `held` are NaN for layers that were not recorded.
class EvidenceMeter {
 public:
  EvidenceMeter(std::string policy, int n_layers, int n_heads);

  /// `full`: the full run of the same prompt, whose weights tell what there is to hold; the recording itself
  /// where it has full attention's maps and there is no such run; null: `held` alone is measured.
  void add_recording(const RecordingReader& recording, const MapSource* full);

  const std::string& policy() const { return policy_; }
  std::int64_t steps() const { return steps_; }
  int n_samples() const { return held_.n_samples(); }
  /// Share of the evidence's positions that the head reads, [n_layers, n_heads]; 1 where it reads everything.
  const SampleMatrix& held() const { return held_; }
  /// Full attention's weight on the evidence, [n_layers, n_heads].
  const SampleMatrix& mass() const { return mass_; }
  /// The part of that weight which lies on positions that the head reads, [n_layers, n_heads].
  const SampleMatrix& mass_held() const { return mass_held_; }

 private:
  void add_layer(const RecordingReader& recording, int layer, const std::vector<std::int32_t>& evidence,
                 std::int64_t steps, const MapSource* full);

  std::string policy_;
  int n_heads_;
  std::int64_t steps_ = 0;
  SampleMatrix held_, mass_, mass_held_;
};

/// The part of full attention's weight on the evidence, over all layers and heads, that the method reads;
/// NaN: not measured.
double share_held(const EvidenceMeter& meter);

/// One meter for each policy of the recordings that know their evidence, in the order in which they come.
/// `sources` are of one model.
std::vector<EvidenceMeter> measure_evidence(const std::vector<MapSource>& sources);

}  // namespace tide::analysis
