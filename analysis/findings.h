#pragma once
// What an analysis says in a few numbers and sentences.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "analysis/analyze.h"

namespace tide::analysis {

/// A number with its 95 % bootstrap interval by sample; NaN ends with fewer than two samples.
struct Measured {
  double value;
  double low;
  double high;
};

/// `reduce` of the mean over all samples, with the interval of `reduce` over the samples.
Measured measured(const SampleMatrix& matrix, const Bootstrap& bootstrap,
                  const std::function<double(const Eigen::MatrixXd&)>& reduce);

/// Mean of the entries that are not NaN; NaN when there are none.
double mean_of_finite(const Eigen::MatrixXd& values);

/// Mean recall of a placement that selects at layer `first` and again at `second` (-1: not again): every
/// sparse layer after `first` reads the last selection before it. `recall` is [n_layers, n_layers].
double placement_recall(const Eigen::MatrixXd& recall, int first, int second);

/// A layer chosen by recall.
struct BestLayer {
  int layer = -1;  ///< -1: no candidate
  double recall = 0;
};

/// The one selection layer with the highest mean recall over all later layers, among those that serve
/// at least half of the layers.
BestLayer best_single_selection(const Eigen::MatrixXd& recall);
/// The re-selection layer that serves best beside a first selection at `first` (TidalDecode's
/// question, arXiv 2410.05076, section 3.3).
BestLayer best_reselection(const Eigen::MatrixXd& recall, int first);

/// TidalDecode's first selection layer.
inline constexpr int kFirstSelect = 2;

/// k of the headline: the head map's when it is in the list, else the middle of the list.
std::size_t headline_k_index(const Analysis& analysis);

struct Findings {
  int k = 0;  ///< of everything below
  Measured adjacent_overlap_head, adjacent_overlap_group, adjacent_overlap_layer;
  Measured recall_same, recall_mapped;  ///< mean over all pairs of layers
  Measured mass_same, mass_mapped;
  double map_mass_same = 0, map_mass_mapped = 0;  ///< under the head map's exclusion; NaN: map was given
  double heads_moved = 0;                         ///< share of (pair, head) that the map sends elsewhere
  BestLayer single_same, single_mapped;
  double first_only_same = 0, first_only_mapped = 0;  ///< selection at kFirstSelect alone; NaN: not there
  BestLayer reselect_same, reselect_mapped;
  std::vector<std::pair<int, double>> persistence;  ///< distance in steps -> mean over layers
  std::vector<std::string> sentences;
  std::vector<std::string> notes;  ///< what was left out, what to be careful with
};

Findings find(const Analysis& analysis);

/// `summary.json`'s text.
std::string summary_json(const Analysis& analysis, const Findings& findings);

}  // namespace tide::analysis
