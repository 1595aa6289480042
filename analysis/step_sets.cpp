#include "analysis/step_sets.h"

#include "base/error.h"

namespace tide::analysis {

int heads_per_row(Sharing sharing, int n_heads, int n_kv_heads) {
  if (sharing == Sharing::head) return 1;
  return sharing == Sharing::group ? n_heads / n_kv_heads : n_heads;
}

Sharing sharing_of_unit(const std::string& unit) {
  if (unit == "query_head") return Sharing::head;
  if (unit == "kv_head") return Sharing::group;
  fail_input("unit '{}': expected query_head or kv_head", unit);
}

StepSets::StepSets(Sharing sharing, int n_heads, int n_kv_heads, int width, Exclusion excluded)
    : sharing_(sharing),
      n_heads_(n_heads),
      heads_per_row_(heads_per_row(sharing, n_heads, n_kv_heads)),
      width_(width),
      excluded_(excluded) {}

void StepSets::build(const StepMaps& maps) {
  kv_len_ = maps.kv_len;
  sets_.resize(maps.prob.size());
  prob_.resize(maps.prob.size());
  for (std::size_t layer = 0; layer < maps.prob.size(); ++layer) {
    if (maps.prob[layer].empty()) {
      sets_[layer].clear();
      continue;
    }
    // The sum decides the set and the mean is the mass: dividing first could break or make ties.
    sum_groups(maps.prob[layer], n_heads_, heads_per_row_, prob_[layer]);
    sets_[layer].build(std::span<const double>(prob_[layer]), n_rows(), kv_len_, width_, excluded_);
    if (heads_per_row_ > 1) {
      for (double& p : prob_[layer]) p /= heads_per_row_;
    }
  }
}

}  // namespace tide::analysis
