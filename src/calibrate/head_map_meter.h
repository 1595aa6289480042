#pragma once
// Head maps from prefills: what `analyze` makes of recordings, without them.

#include <cstdint>
#include <string>
#include <vector>

#include "base/head_map.h"
#include "decode/observer.h"

namespace tide {

/// Which sets are looked at, and where.
struct HeadMapPlan {
  std::vector<std::int64_t> rows;   ///< prompt positions, ascending, each at least sinks + recent
  std::vector<int> ks = {64};       ///< positions of a set, ascending: a map for each
  std::string unit = "query_head";  ///< or "kv_head": by the mean weight of a group's query heads
  int sinks = 4, recent = 16;       ///< left out of the sets: first positions; last ones up to the row's own
};

/// Watches prefills. At chosen rows, each head's set is the k positions that it weighs most, first and recent
/// ones left out; for every pair of layers and heads it adds up the mass that the later head puts on the
/// earlier one's set (head remapping: Kascade, arXiv 2512.16391, section 3.4), and what it puts on its own.
class HeadMapMeter final : public DecodeObserver {
 public:
  HeadMapMeter(const ModelConfig& config, HeadMapPlan plan);

  /// Other rows for the prompts that follow.
  void look_at(std::vector<std::int64_t> rows);

  ObserverWants wants() const override;
  void on_prefill(const PrefillEvent& event) override;
  void on_layer(const LayerEvent&) override {}
  void on_step(const StepEvent&) override {}

  /// For the sets of plan.ks[which]: the head of the earlier layer that holds most mass of each head of the
  /// later one, and that mass's mean over rows; ties: the head of the same index, then the smaller one.
  /// `evidence` holds own_mass [n_layers][heads], what a head's own set holds. At least one row must have
  /// been seen. The caller says whose it is.
  HeadMap head_map(std::size_t which = 0) const;

 private:
  /// The weights of a row of one layer: [n_units, stride].
  struct Weights {
    const float* data;
    std::int64_t stride;
  };

  std::size_t sums_of(std::size_t which, int source, int reader) const;
  Weights weights_of(const PrefillEvent& event, std::size_t row);
  void choose(const Weights& weights, std::int64_t there, std::vector<std::int32_t>& sets) const;
  void add(const Weights& weights, int reader, const std::vector<std::int32_t>& sets, int source);
  void add_own(const Weights& weights, int layer, const std::vector<std::int32_t>& sets);
  /// Mass on a set's first ks[0], ks[1], … positions, added to sum[0], sum[step], …
  void add_held(const float* weight, const std::int32_t* set, double* sum, std::size_t step) const;

  const ModelConfig& config_;
  HeadMapPlan plan_;
  int n_units_, most_;  ///< heads of the unit; the largest k
  std::int64_t n_seen_ = 0;
  std::vector<float> pooled_;                                 // [n_kv_heads, stride]
  std::vector<std::vector<std::vector<std::int32_t>>> sets_;  // [n_layers][rows of the chunk][n_units * most]
  std::vector<double> mass_;                                  // [ks, n_layers, n_layers, source heads, heads]
  std::vector<double> own_;                                   // [ks, n_layers, heads]
};

}  // namespace tide
