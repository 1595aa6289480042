#pragma once
// The whole analysis of one or several recordings of one model.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/evidence.h"
#include "analysis/head_map_maker.h"
#include "analysis/overlap.h"
#include "analysis/persistence.h"
#include "analysis/recall.h"
#include "analysis/set_recall.h"
#include "analysis/union_size.h"

namespace tide::analysis {

struct AnalysisOptions {
  std::vector<int> k_list = {16, 32, 64, 128, 256};
  Exclusion excluded;                ///< of overlap, recall, mass, persistence
  std::string unit = "query_head";   ///< of the head map and of recall and mass
  int map_k = 64;                    ///< top-k of the head map
  Exclusion map_excluded = {4, 16};  ///< of the head map
  std::optional<HeadMap> map;        ///< use this map instead of making one from the recordings
  int max_distance = 32;             ///< of persistence, in steps
  bool exclude_forced = false;       ///< recorded sets without their forced positions
  bool allow_incomplete = false;     ///< take the committed steps of a recording that was never closed
  std::uint64_t seed = 0;            ///< of the bootstrap
  /// Called after every step of every pass; false ends the analysis early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress;
};

/// One recording.
struct Sample {
  std::filesystem::path path;
  std::string policy;
  std::int64_t steps = 0;
  bool in_maps = false;  ///< counts towards overlap, recall, mass, persistence and head map
};

/// Of one layer under a policy that keeps sets from step to step (a selection cache).
struct SetReuse {
  std::string policy;
  int layer = 0;
  std::int64_t reused = 0, anew = 0;  ///< steps of all its recordings
};

/// The head map made from the recordings, beside reading the same head; under the map's own exclusion.
struct MadeMap {
  HeadMap map;
  std::vector<std::vector<std::vector<double>>> same_head_mass;  ///< [src][dst][head]
};

/// Everything measured.
struct Analysis {
  AnalysisOptions options;
  RecordingInfo model;  ///< of the first recording that counts towards the maps
  std::vector<Sample> samples;
  std::vector<int> layers_without_maps;
  std::optional<MadeMap> made_map;  ///< absent when a map was given

  OverlapMeter overlap_head, overlap_group, overlap_layer;
  PersistenceMeter persistence;         ///< of query heads
  UnionMeter unions;                    ///< of query heads
  std::optional<RecallMeter> recall;    ///< recall and mass of the unit; set unless stopped
  std::vector<SetRecallMeter> sets;     ///< one a policy that recorded sets
  std::vector<SetReuse> reuse;          ///< by policy, then layer
  std::vector<EvidenceMeter> evidence;  ///< one a policy whose recordings know their evidence
  std::optional<Bootstrap> bootstrap;   ///< over the samples in the maps, weighted by steps
  bool stopped = false;                 ///< ended early: incomplete, not to be published

  const HeadMap& map() const { return made_map ? made_map->map : *options.map; }
};

/// Reads the recordings step by step. Full runs alone count towards the maps when there are any;
/// otherwise all recordings do, by their shadow maps. Throws InputError: no recordings, one named twice,
/// an incomplete one, different models, no full-attention maps, a given head map of another model or unit.
Analysis analyze(const std::vector<std::filesystem::path>& recordings, const AnalysisOptions& options);

}  // namespace tide::analysis
