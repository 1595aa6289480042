#include "analysis/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tide::analysis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double mean_of_adjacent(const Eigen::MatrixXd& overlap) {
  return overlap.rows() < 2 ? kNan : mean_of_finite(overlap.diagonal(1));
}

void fill_head_map(const Analysis& analysis, Findings& found) {
  const HeadMap& map = analysis.map();
  double same = 0, mapped = 0, moved = 0, heads = 0;
  for (std::size_t src = 0; src < map.source_head.size(); ++src) {
    for (std::size_t dst = src + 1; dst < map.source_head.size(); ++dst) {
      for (std::size_t head = 0; head < map.source_head[src][dst].size(); ++head) {
        if (std::isnan(map.mass[src][dst][head])) continue;
        heads += 1;
        moved += map.source_head[src][dst][head] != static_cast<int>(head);
        mapped += map.mass[src][dst][head];
        same += analysis.made_map ? analysis.made_map->same_head_mass[src][dst][head] : kNan;
      }
    }
  }
  found.heads_moved = moved / heads;
  found.map_mass_same = same / heads;
  found.map_mass_mapped = analysis.made_map ? mapped / heads : kNan;
}

void fill_placements(const Analysis& analysis, std::size_t k_index, Findings& found) {
  const Eigen::MatrixXd same = analysis.recall->recall(k_index, false).mean();
  const Eigen::MatrixXd mapped = analysis.recall->recall(k_index, true).mean();
  found.single_same = best_single_selection(same);
  found.single_mapped = best_single_selection(mapped);
  found.first_only_same = placement_recall(same, kFirstSelect, -1);
  found.first_only_mapped = placement_recall(mapped, kFirstSelect, -1);
  found.reselect_same = best_reselection(same, kFirstSelect);
  found.reselect_mapped = best_reselection(mapped, kFirstSelect);
}

void fill_persistence(const Analysis& analysis, std::size_t k_index, Findings& found) {
  const Eigen::MatrixXd persistence = analysis.persistence.persistence(k_index).mean();
  for (int distance = 1; distance <= analysis.persistence.max_distance(); distance *= 2) {
    const double value = mean_of_finite(persistence.col(distance - 1));
    if (!std::isnan(value)) found.persistence.emplace_back(distance, value);
  }
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string percent(const Measured& m) {
  if (std::isnan(m.low)) return percent(m.value);
  return fmt::format("{} [{:.1f}, {:.1f}]", percent(m.value), 100 * m.low, 100 * m.high);
}

std::vector<std::string> sentences(const Analysis& analysis, const Findings& f) {
  const char* const heads = analysis.options.unit == "kv_head" ? "KV heads" : "heads";
  std::vector<std::string> out;
  out.push_back(fmt::format(
      "Neighbouring layers share {} of their top-{} positions head by head, {} when probabilities are "
      "summed over a group, {} over all heads.",
      percent(f.adjacent_overlap_head), f.k, percent(f.adjacent_overlap_group),
      percent(f.adjacent_overlap_layer)));
  out.push_back(fmt::format(
      "Reusing an earlier layer's top-{} with mapped {} instead of the same head raises mean recall over all "
      "pairs of layers from {} to {}, and the attention mass found from {} to {}.",
      f.k, heads, percent(f.recall_same), percent(f.recall_mapped), percent(f.mass_same),
      percent(f.mass_mapped)));
  if (f.reselect_same.layer >= 0 && f.reselect_mapped.layer >= 0) {
    out.push_back(fmt::format(
        "Selection at layer {} alone recalls {} of later layers' top-{} (same head; mapped {}); one "
        "re-selection raises it most at layer {}, to {} (mapped: layer {}, {}).",
        kFirstSelect, percent(f.first_only_same), f.k, percent(f.first_only_mapped), f.reselect_same.layer,
        percent(f.reselect_same.recall), f.reselect_mapped.layer, percent(f.reselect_mapped.recall)));
  }
  if (f.single_same.layer >= 0 && f.single_mapped.layer >= 0) {
    out.push_back(
        fmt::format("Among layers that can serve at least half of the model, layer {} serves the layers "
                    "after it best with "
                    "the same head ({}), layer {} with mapped {} ({}).",
                    f.single_same.layer, percent(f.single_same.recall), f.single_mapped.layer, heads,
                    percent(f.single_mapped.recall)));
  }
  if (!f.persistence.empty()) {
    const auto& [near, near_share] = f.persistence.front();
    const auto& [far, far_share] = f.persistence.back();
    out.push_back(
        fmt::format("A layer's own top-{} keeps {} of its positions after {} step{} and {} after {}.", f.k,
                    percent(near_share), near, near == 1 ? "" : "s", percent(far_share), far));
  }
  return out;
}

/// Of recordings of a task: where full attention looks for the answer, and what each method reads of that.
void evidence_sentences(const Analysis& analysis, std::vector<std::string>& out) {
  for (const EvidenceMeter& meter : analysis.evidence) {
    const double share = share_held(meter);
    if (std::isnan(share)) continue;
    const Eigen::MatrixXd mass = meter.mass().mean();
    if (meter.policy().starts_with("full")) {
      Eigen::Index layer = 0, head = 0;
      const double most = mass.array().isNaN().select(0, mass).maxCoeff(&layer, &head);
      out.push_back(fmt::format(
          "Full attention looks at the tokens that carry the answer most in layer {}, head {}: {} "
          "of its weight, against {} over all layers and heads.",
          layer, head, percent(most), percent(mean_of_finite(mass))));
    } else {
      out.push_back(fmt::format("{} reads {} of full attention's weight on those tokens ({} of the tokens).",
                                meter.policy(), percent(share),
                                percent(mean_of_finite(meter.held().mean()))));
    }
  }
}

std::vector<std::string> notes(const Analysis& analysis) {
  std::vector<std::string> out;
  const auto in_maps = std::count_if(analysis.samples.begin(), analysis.samples.end(),
                                     [](const Sample& sample) { return sample.in_maps; });
  if (analysis.made_map) {
    out.push_back(
        "The head map was made from the recordings it is measured on here; use --map to measure "
        "one made from other text.");
  }
  const Exclusion& left_out = analysis.options.map_excluded;
  if (analysis.made_map && (left_out.sinks > 0 || left_out.recent > 0)) {
    out.push_back(
        fmt::format("The head map leaves out {} sinks and {} recent positions: use it with a policy that "
                    "reads them anyway (sinks={},recent={}), or make one that counts them.",
                    left_out.sinks, left_out.recent, left_out.sinks, left_out.recent));
  }
  if (in_maps < 2) out.push_back("One recording counts towards the maps: there are no intervals by sample.");
  if (static_cast<std::size_t>(in_maps) < analysis.samples.size()) {
    out.push_back(
        fmt::format("{} of {} recordings are of sparse runs and count towards the recorded sets alone.",
                    analysis.samples.size() - static_cast<std::size_t>(in_maps), analysis.samples.size()));
  }
  if (!analysis.layers_without_maps.empty()) {
    out.push_back(fmt::format("No maps of layers {}: their figures are blank and no headmap.json is written.",
                              fmt::join(analysis.layers_without_maps, ", ")));
  }
  return out;
}

}  // namespace

Measured measured(const SampleMatrix& matrix, const Bootstrap& bootstrap,
                  const std::function<double(const Eigen::MatrixXd&)>& reduce) {
  std::vector<double> by_sample;
  for (int s = 0; s < matrix.n_samples(); ++s) by_sample.push_back(reduce(matrix.sample_mean(s)));
  const Interval interval = bootstrap.interval(by_sample);
  return {reduce(matrix.mean()), interval.low, interval.high};
}

double mean_of_finite(const Eigen::MatrixXd& values) {
  double sum = 0;
  Eigen::Index n = 0;
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    const double value = values.data()[i];
    if (std::isnan(value)) continue;
    sum += value;
    ++n;
  }
  return n == 0 ? kNan : sum / static_cast<double>(n);
}

double placement_recall(const Eigen::MatrixXd& recall, int first, int second) {
  std::vector<double> served;
  for (int layer = first + 1; layer < recall.rows(); ++layer) {
    if (layer == second) continue;
    served.push_back(recall(second >= 0 && layer > second ? second : first, layer));
  }
  if (served.empty()) return kNan;
  return mean_of_finite(Eigen::Map<Eigen::VectorXd>(served.data(), static_cast<Eigen::Index>(served.size())));
}

BestLayer best_single_selection(const Eigen::MatrixXd& recall) {
  BestLayer best;
  for (int layer = 0; 2 * (layer + 1) <= recall.rows(); ++layer) {
    const double mean = placement_recall(recall, layer, -1);
    if (!std::isnan(mean) && (best.layer < 0 || mean > best.recall)) best = {layer, mean};
  }
  return best;
}

BestLayer best_reselection(const Eigen::MatrixXd& recall, int first) {
  BestLayer best;
  for (int second = first + 1; second < recall.rows(); ++second) {
    const double mean = placement_recall(recall, first, second);
    if (!std::isnan(mean) && (best.layer < 0 || mean > best.recall)) best = {second, mean};
  }
  return best;
}

std::size_t headline_k_index(const Analysis& analysis) {
  const auto& k_list = analysis.options.k_list;
  const auto it = std::find(k_list.begin(), k_list.end(), analysis.map().k);
  return it != k_list.end() ? static_cast<std::size_t>(it - k_list.begin()) : k_list.size() / 2;
}

Findings find(const Analysis& analysis) {
  const std::size_t k_index = headline_k_index(analysis);
  const Bootstrap& bootstrap = *analysis.bootstrap;
  Findings found;
  found.k = analysis.options.k_list[k_index];
  found.adjacent_overlap_head = measured(analysis.overlap_head.overlap(k_index), bootstrap, mean_of_adjacent);
  found.adjacent_overlap_group =
      measured(analysis.overlap_group.overlap(k_index), bootstrap, mean_of_adjacent);
  found.adjacent_overlap_layer =
      measured(analysis.overlap_layer.overlap(k_index), bootstrap, mean_of_adjacent);
  found.recall_same = measured(analysis.recall->recall(k_index, false), bootstrap, mean_of_finite);
  found.recall_mapped = measured(analysis.recall->recall(k_index, true), bootstrap, mean_of_finite);
  found.mass_same = measured(analysis.recall->mass(k_index, false), bootstrap, mean_of_finite);
  found.mass_mapped = measured(analysis.recall->mass(k_index, true), bootstrap, mean_of_finite);
  fill_head_map(analysis, found);
  fill_placements(analysis, k_index, found);
  fill_persistence(analysis, k_index, found);
  found.sentences = sentences(analysis, found);
  evidence_sentences(analysis, found.sentences);
  found.notes = notes(analysis);
  return found;
}

}  // namespace tide::analysis
