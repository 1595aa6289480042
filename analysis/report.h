#pragma once
// The page of a run: one HTML file with its data and plotly.js inside, which works offline.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "analysis/report_attention.h"
#include "analysis/report_plotly.h"
#include "analysis/sweep_summary.h"

namespace tide::analysis {

/// A layer x layer matrix for one k.
struct LayerMatrix {
  std::string measure;  ///< "overlap", "jaccard", "recall", "mass"
  std::string variant;  ///< overlap: "head", "group", "layer"; recall and mass: "same head", "mapped"
  int k = 0;
  std::vector<float> value;  ///< [n_layers, n_layers], row = source layer i, column = j; NaN = blank
};

/// Persistence of one k: how much of a step's top-k is still there d steps later.
struct PersistenceTable {
  int k = 0;
  std::vector<int> distance;  ///< in steps, [n_distances]
  std::vector<float> value;   ///< [n_layers, n_distances]; NaN = blank
};

/// Recall, mass or rows read of recorded sets, by layer: a bar a layer.
struct LayerCurve {
  std::string name;              ///< "recall of the recorded sets at k = 64"
  std::string unit;              ///< "share", "rows"
  std::vector<float> value;      ///< [n_layers]; NaN = blank
  std::vector<float> low, high;  ///< empty or [n_layers]
};

/// What the page of one or several recordings shows.
struct RecordingReport {
  std::string title;                                       ///< "SmolLM2-135M-Instruct, full attention"
  std::vector<std::string> findings;                       ///< sentences, most important first
  std::vector<std::pair<std::string, std::string>> facts;  ///< model, policy, samples, steps, …
  std::vector<std::string> notes;                          ///< what was thinned, left out, cautioned
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  std::string placement;  ///< one letter a layer; empty when recordings differ
  std::vector<LayerMatrix> matrices;
  std::vector<PersistenceTable> persistence;
  std::vector<LayerCurve> curves;
  std::vector<AttentionView> attention;  ///< of one or a few recordings, to look at; may be empty
};

/// Writes the page atomically. Throws InputError when sizes disagree, WorkError.
void write_recording_report(const std::filesystem::path& out_html, const RecordingReport& report,
                            PlotlyPlace plotly = PlotlyPlace::inlined);

/// The page of a sweep: frontier, table of configurations, needle map, failed cells.
void write_sweep_report(const std::filesystem::path& out_html, const SweepSummary& summary,
                        PlotlyPlace plotly = PlotlyPlace::inlined);

/// Makes a page again from the data inside an existing one (a newer template, or another place for
/// plotly.js). Returns its findings. Throws InputError when `html` is no page of ours.
std::vector<std::string> rewrite_report(const std::filesystem::path& html, PlotlyPlace plotly);

}  // namespace tide::analysis
