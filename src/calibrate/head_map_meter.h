#pragma once
// A head map by query heads from the prefill of plain text: what `analyze` makes of recordings, without them.

#include <cstdint>
#include <vector>

#include "base/head_map.h"
#include "decode/observer.h"

namespace tide {

/// Watches prefills. At chosen rows, each head's set is the k positions that it weighs most, first and recent
/// ones left out; for every pair of layers and heads it adds up the mass that the later head puts on the
/// earlier one's set (head remapping: Kascade, arXiv 2512.16391, section 3.4).
class HeadMapMeter final : public DecodeObserver {
 public:
  /// `rows`: prompt positions to look at, ascending, each beyond sinks + recent. Sets leave out the first
  /// `sinks` positions and the `recent` last ones up to the row's own.
  HeadMapMeter(const ModelConfig& config, std::vector<std::int64_t> rows, int k = 64, int sinks = 4,
               int recent = 16);

  ObserverWants wants() const override;
  void on_prefill(const PrefillEvent& event) override;
  void on_layer(const LayerEvent&) override {}
  void on_step(const StepEvent&) override {}

  /// The head of the earlier layer that holds most mass of each head of the later one, and that mass's mean
  /// over rows; ties: the head of the same index, then the smaller one. At least one row must have been seen.
  /// The caller says whose it is.
  HeadMap head_map() const;

 private:
  std::size_t sums_of(int source, int reader) const;
  void choose(const PrefillEvent& event, std::size_t row, std::vector<std::int32_t>& sets) const;

  const ModelConfig& config_;
  std::vector<std::int64_t> rows_;
  int k_, sinks_, recent_;
  std::int64_t n_seen_ = 0;
  std::vector<std::vector<std::vector<std::int32_t>>> sets_;  // [n_layers][rows of the chunk][n_heads * k]
  std::vector<double> mass_;                                  // [n_layers, n_layers, source heads, heads]
};

}  // namespace tide
