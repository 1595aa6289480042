#pragma once
// An analysis as CSV files, one row a cell, and the head map as JSON.

#include <filesystem>

#include "analysis/analyze.h"

namespace tide::analysis {

/// Writes into `folder`, each file atomically; what was not measured is `nan`, and `_low`, `_high` are 95 %
/// bootstrap intervals by sample (`nan` with fewer than two samples):
/// - overlap_kK.csv, one file a k: layer_i, layer_j, overlap_head, _low, _high, jaccard_head, overlap_group,
/// …
/// - recall.csv: k, src, dst, same_head, _low, _high, mapped, _low, _high; pairs src < dst
/// - mass.csv: the same columns
/// - persistence.csv: k, layer, distance, persistence, _low, _high
/// - reselection.csv: k, first, second, same_head, mapped: mean recall of the layers after `first`
/// - set_recall.csv: policy, layer, role, k, recall, _low, _high, recall_at_set_size, mass, set_size
/// - reuse.csv: policy, layer, steps, reuse_rate: steps whose sets came out of the method's cache; only where
///   there is one
/// - evidence.csv: policy, layer, head, held, mass, mass_held, see EvidenceMeter; only for recordings of
/// tasks
/// - headmap.csv: src, dst, head, source_head, mass, same_head_mass
/// - headmap.json: contracts.md section 5; only when made here and every layer has maps
///
/// Throws WorkError.
void write_tables(const std::filesystem::path& folder, const Analysis& analysis);

}  // namespace tide::analysis
