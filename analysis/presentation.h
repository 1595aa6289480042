#pragma once
// An analysis as figures (PNG, SVG) and as a page.

#include <filesystem>

#include "analysis/analyze.h"
#include "analysis/findings.h"
#include "analysis/report.h"

namespace tide::analysis {

/// Writes into `folder`, as PNG and SVG, for the headline k: overlap_head, overlap_group, overlap_layer,
/// recall_same_head, recall_mapped, mass_same_head, mass_mapped (layer x layer), reselection, persistence,
/// union, set_recall when sets were recorded, and those of write_evidence_figures. Throws WorkError.
void write_analysis_figures(const std::filesystem::path& folder, const Analysis& analysis,
                            const Findings& findings);

/// Where recordings know the tokens that carry an answer: evidence_heads (full attention's weight on them,
/// layer x head) and evidence_held (by layer, what of it each method reads).
void write_evidence_figures(const std::filesystem::path& folder, const Analysis& analysis);
std::vector<LayerCurve> evidence_curves(const Analysis& analysis);

/// Everything that the page shows; `max_attention_bytes` bounds the maps of all recordings together.
RecordingReport recording_report(const Analysis& analysis, const Findings& findings,
                                 std::int64_t max_attention_bytes = kAttentionBytes);

}  // namespace tide::analysis
