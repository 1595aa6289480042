#include "calibrate/anchors.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/error.h"

namespace tide {

Anchors best_anchors(const std::vector<std::vector<double>>& worth, int count) {
  const auto n = static_cast<int>(worth.size());
  TIDE_ASSERT(count >= 1 && count <= n);
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  // best[k][last]: layers 0 .. last - 1 served by k anchors before `last`; before[k][last]: the last of
  // those.
  std::vector<std::vector<double>> best(at(count + 1), std::vector<double>(at(n + 1), kNone));
  std::vector<std::vector<int>> before(best.size(), std::vector<int>(at(n + 1), -1));
  best[0][0] = 0;
  for (int k = 1; k <= count; ++k) {
    for (int anchor = k - 1; anchor < n; ++anchor) {
      if (best[at(k - 1)][at(anchor)] == kNone) continue;
      double value = best[at(k - 1)][at(anchor)];
      for (int end = anchor + 1; end <= n; ++end) {
        value += worth[at(anchor)][at(end - 1)];
        if (value <= best[at(k)][at(end)]) continue;
        best[at(k)][at(end)] = value;
        before[at(k)][at(end)] = anchor;
      }
    }
  }
  Anchors anchors{std::vector<int>(at(count)), best[at(count)][at(n)]};
  for (int k = count, end = n; k > 0; --k) anchors.layers[at(k - 1)] = end = before[at(k)][at(end)];
  return anchors;
}

double worth_of(const std::vector<std::vector<double>>& worth, const std::vector<int>& layers) {
  TIDE_ASSERT(!layers.empty() && layers.front() == 0);
  double value = 0;
  std::size_t serving = 0;
  for (std::size_t layer = 0; layer < worth.size(); ++layer) {
    if (serving + 1 < layers.size() && static_cast<std::size_t>(layers[serving + 1]) == layer) ++serving;
    value += worth[static_cast<std::size_t>(layers[serving])][layer];
  }
  return value;
}

Anchors greedy_anchors(const std::vector<std::vector<double>>& worth, int count) {
  const auto n = static_cast<int>(worth.size());
  TIDE_ASSERT(count >= 1 && count <= n);
  Anchors anchors{{0}, worth_of(worth, {0})};
  while (std::ssize(anchors.layers) < count) {
    Anchors best{{}, -std::numeric_limits<double>::infinity()};
    for (int layer = 1; layer < n; ++layer) {
      std::vector<int> layers = anchors.layers;
      const auto place = std::lower_bound(layers.begin(), layers.end(), layer);
      if (place != layers.end() && *place == layer) continue;
      layers.insert(place, layer);
      const double value = worth_of(worth, layers);
      if (value > best.value) best = {std::move(layers), value};
    }
    anchors = std::move(best);
  }
  return anchors;
}

}  // namespace tide
