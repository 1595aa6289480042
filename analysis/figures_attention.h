#pragma once
// Attention maps of a recording as still figures.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/figures.h"
#include "analysis/report_attention.h"

namespace tide::analysis {

/// One layer over decode steps and positions, logarithmic colours; `head`: a query head, or the maximum
/// over all. The first `sinks` positions are hidden. Blank: hidden, not read, or not there yet. Throws
/// InputError when the view has no such layer or head.
Heatmap attention_heatmap(const AttentionView& view, int layer, std::optional<int> head,
                          std::int64_t sinks = 4);

/// attention_layer_NN.png and .svg, maximum over heads: of the selection layers, or of four layers spread
/// over the model where none selects. Returns the stems' names. Throws WorkError.
std::vector<std::string> write_attention_figures(const std::filesystem::path& folder,
                                                 const AttentionView& view);

}  // namespace tide::analysis
