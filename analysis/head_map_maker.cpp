#include "analysis/head_map_maker.h"

#include <limits>

#include "analysis/recall.h"

namespace tide::analysis {

HeadMapMaker::HeadMapMaker(int k, int n_layers, int n_rows)
    : k_(k),
      n_layers_(n_layers),
      n_rows_(n_rows),
      sum_(static_cast<std::size_t>(n_layers * n_layers)),
      steps_(static_cast<std::size_t>(n_layers * n_layers)) {
  for (int src = 0; src < n_layers; ++src) {
    for (int dst = src + 1; dst < n_layers; ++dst) sum_[pair(src, dst)].setZero(n_rows, n_rows);
  }
}

void HeadMapMaker::add_step(const StepSets& sets) {
  double mass = 0;
  for (int dst = 1; dst < n_layers_; ++dst) {
    for (int src = 0; src < dst; ++src) {
      if (!sets.has_layer(src) || !sets.has_layer(dst)) continue;
      Eigen::MatrixXd& sum = sum_[pair(src, dst)];
      steps_[pair(src, dst)] += 1;
      for (int dst_head = 0; dst_head < n_rows_; ++dst_head) {
        for (int src_head = 0; src_head < n_rows_; ++src_head) {
          prefix_mass(sets.prob(dst, dst_head), sets.sets(src).positions(src_head), {k_}, {&mass, 1});
          sum(src_head, dst_head) += mass;
        }
      }
    }
  }
}

double HeadMapMaker::mean_mass(int src, int dst, int src_head, int dst_head) const {
  const double steps = steps_[pair(src, dst)];
  if (steps == 0) return std::numeric_limits<double>::quiet_NaN();
  return sum_[pair(src, dst)](src_head, dst_head) / steps;
}

HeadMap HeadMapMaker::make() const {
  HeadMap map;
  map.k = k_;
  map.n_layers = n_layers_;
  map.n_heads = n_rows_;
  map.source_head.assign(static_cast<std::size_t>(n_layers_),
                         std::vector<std::vector<int>>(static_cast<std::size_t>(n_layers_)));
  map.mass.assign(static_cast<std::size_t>(n_layers_),
                  std::vector<std::vector<float>>(static_cast<std::size_t>(n_layers_)));
  for (int src = 0; src < n_layers_; ++src) {
    for (int dst = src + 1; dst < n_layers_; ++dst) {
      for (int head = 0; head < n_rows_; ++head) {
        int best = head;
        for (int source = 0; source < n_rows_; ++source) {
          if (mean_mass(src, dst, source, head) > mean_mass(src, dst, best, head)) best = source;
        }
        map.source_head[static_cast<std::size_t>(src)][static_cast<std::size_t>(dst)].push_back(best);
        map.mass[static_cast<std::size_t>(src)][static_cast<std::size_t>(dst)].push_back(
            static_cast<float>(mean_mass(src, dst, best, head)));
      }
    }
  }
  return map;
}

std::vector<std::vector<std::vector<double>>> HeadMapMaker::same_head_mass() const {
  const auto n = static_cast<std::size_t>(n_layers_);
  std::vector<std::vector<std::vector<double>>> mass(n, std::vector<std::vector<double>>(n));
  for (int src = 0; src < n_layers_; ++src) {
    for (int dst = src + 1; dst < n_layers_; ++dst) {
      auto& heads = mass[static_cast<std::size_t>(src)][static_cast<std::size_t>(dst)];
      for (int head = 0; head < n_rows_; ++head) heads.push_back(mean_mass(src, dst, head, head));
    }
  }
  return mass;
}

}  // namespace tide::analysis
