#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/findings.h"

namespace tide::analysis {
namespace {

using nlohmann::json;

/// JSON has no NaN: what was not measured is null.
json number(double value) { return std::isnan(value) ? json(nullptr) : json(value); }

json with_interval(const Measured& m) {
  return {{"value", number(m.value)}, {"low", number(m.low)}, {"high", number(m.high)}};
}

json best(const BestLayer& found) {
  if (found.layer < 0) return nullptr;
  return {{"layer", found.layer}, {"recall", number(found.recall)}};
}

json recordings(const Analysis& analysis) {
  json list = json::array();
  for (const auto& sample : analysis.samples) {
    list.push_back({{"file", sample.path.filename().string()},
                    {"policy", sample.policy},
                    {"steps", sample.steps},
                    {"in_maps", sample.in_maps}});
  }
  return list;
}

/// Means over the layers that hold sets and that the placement calls sparse or estimating.
json recorded_sets(const Analysis& analysis, std::size_t k_index) {
  json list = json::array();
  for (const auto& sets : analysis.sets) {
    const Eigen::MatrixXd values = sets.values().mean();
    std::vector<double> recall, own, mass, size;
    for (int layer = 0; layer < values.rows(); ++layer) {
      const auto& letters = sets.placement();
      const bool chooses =
          static_cast<std::size_t>(layer) < letters.size() && letters[static_cast<std::size_t>(layer)] == 'S';
      if (chooses || !sets.has_layer(layer)) continue;
      recall.push_back(values(layer, static_cast<Eigen::Index>(k_index)));
      own.push_back(values(layer, sets.recall_at_own_size()));
      mass.push_back(values(layer, sets.mass()));
      size.push_back(values(layer, sets.size()));
    }
    const auto mean = [](std::vector<double>& v) {
      return number(
          mean_of_finite(Eigen::Map<Eigen::VectorXd>(v.data(), static_cast<Eigen::Index>(v.size()))));
    };
    list.push_back({{"policy", sets.policy()},
                    {"recordings", sets.n_samples()},
                    {"layers_read_from_a_set", recall.size()},
                    {"recall", mean(recall)},
                    {"recall_at_set_size", mean(own)},
                    {"mass", mean(mass)},
                    {"set_size", mean(size)}});
  }
  return list;
}

json evidence(const Analysis& analysis) {
  json list = json::array();
  for (const EvidenceMeter& meter : analysis.evidence) {
    list.push_back({{"policy", meter.policy()},
                    {"recordings", meter.n_samples()},
                    {"steps", meter.steps()},
                    {"held", number(mean_of_finite(meter.held().mean()))},
                    {"mass_held", number(share_held(meter))}});
  }
  return list;
}

json head_map(const Analysis& analysis, const Findings& found) {
  const HeadMap& map = analysis.map();
  return {{"unit", map.unit},
          {"k", map.k},
          {"excluded", {{"sinks", map.excluded_sinks}, {"recent", map.excluded_recent}}},
          {"made_here", analysis.made_map.has_value()},
          {"mass_same_head", number(found.map_mass_same)},
          {"mass_mapped", number(found.map_mass_mapped)},
          {"heads_moved", number(found.heads_moved)}};
}

}  // namespace

std::string summary_json(const Analysis& analysis, const Findings& found) {
  json persistence = json::object();
  for (const auto& [distance, value] : found.persistence)
    persistence[std::to_string(distance)] = number(value);
  const json root = {
      {"model", {{"name", analysis.model.model_name}, {"sha256", analysis.model.model_sha256}}},
      {"recordings", recordings(analysis)},
      {"k", found.k},
      {"k_list", analysis.options.k_list},
      {"excluded",
       {{"sinks", analysis.options.excluded.sinks}, {"recent", analysis.options.excluded.recent}}},
      {"unit", analysis.options.unit},
      {"adjacent_overlap",
       {{"head", with_interval(found.adjacent_overlap_head)},
        {"group", with_interval(found.adjacent_overlap_group)},
        {"layer", with_interval(found.adjacent_overlap_layer)}}},
      {"recall",
       {{"same_head", with_interval(found.recall_same)}, {"mapped", with_interval(found.recall_mapped)}}},
      {"mass", {{"same_head", with_interval(found.mass_same)}, {"mapped", with_interval(found.mass_mapped)}}},
      {"single_selection", {{"same_head", best(found.single_same)}, {"mapped", best(found.single_mapped)}}},
      {"reselection",
       {{"first_select", kFirstSelect},
        {"first_alone_same_head", number(found.first_only_same)},
        {"first_alone_mapped", number(found.first_only_mapped)},
        {"same_head", best(found.reselect_same)},
        {"mapped", best(found.reselect_mapped)}}},
      {"persistence", persistence},
      {"head_map", head_map(analysis, found)},
      {"recorded_sets", recorded_sets(analysis, headline_k_index(analysis))},
      {"evidence", evidence(analysis)},
      {"findings", found.sentences},
      {"notes", found.notes},
  };
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace tide::analysis
