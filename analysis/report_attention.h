#pragma once
// Attention maps of a recording, made small enough for a page: 8 bits a value on a log scale, thinned.

#include <cstdint>
#include <string>
#include <vector>

#include "record/reader.h"

namespace tide::analysis {

/// A code c > 0 stands for 10^(floor_log10 * (1 - (c - 1) / 254)): 255 is 1, 1 is 10^floor_log10, 0
/// is exactly zero or blank; smaller values count as code 1.
inline constexpr double kAttentionFloorLog10 = -5.0;
std::uint8_t attention_code(float prob);
float attention_of_code(std::uint8_t code);

/// Maps of some layers and heads over steps and positions.
struct AttentionView {
  std::string name;       ///< the recording's file name
  bool shadow = false;    ///< full attention's weights of a sparse run
  bool top_only = false;  ///< the recording holds each head's top weights only: the rest is unknown
  std::int64_t prompt_len = 0;
  std::vector<int> layers;           ///< layers that are here
  std::vector<int> heads;            ///< query heads that are here
  std::vector<std::int64_t> steps;   ///< decode steps that are here
  std::vector<std::int64_t> kv_len;  ///< [steps]
  std::int64_t bin_positions = 1;    ///< neighbouring positions a column stands for (their maximum)
  std::int64_t n_bins = 0;
  std::vector<std::vector<std::uint8_t>> code;  ///< by layer: [heads, steps, n_bins]
  /// By layer: which columns the layer read, one bit each, [heads, steps, ceil(n_bins / 8)], lowest bit
  /// first; empty where it read everything or nothing was recorded.
  std::vector<std::vector<std::uint8_t>> read_bits;
  std::vector<std::vector<std::uint8_t>> role;  ///< by layer: [steps], codes of contracts.md section 2
  std::vector<std::string> token;  ///< label of every position, [prompt_len + steps of the recording]
  std::vector<std::string> notes;  ///< what was thinned, in words
};

/// Bytes that the maps of one view may take before base64.
inline constexpr std::int64_t kAttentionBytes = 8'000'000;

/// Reads what fits `max_bytes`: steps are thinned first (to 12), then positions are joined, then heads
/// and layers are left out; `notes` says so. A recording without maps gives a view without layers.
AttentionView load_attention_view(const RecordingReader& recording, std::int64_t max_bytes = kAttentionBytes);

}  // namespace tide::analysis
