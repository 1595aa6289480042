#include "analysis/analyze.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/error.h"

namespace tide::analysis {
namespace {

/// Recordings that are open, checked against each other.
struct Inputs {
  std::vector<RecordingReader> readers;
  std::vector<MapSource> sources;  ///< point into `readers`
  std::vector<bool> in_maps;
};

void check_same_model(const RecordingReader& first, const RecordingReader& other) {
  const RecordingInfo &a = first.info(), &b = other.info();
  const auto shape = [](const RecordingInfo& info) {
    return fmt::format("{} layers, {} heads, {} KV heads", info.n_layers, info.n_heads, info.n_kv_heads);
  };
  if (a.model_sha256 != b.model_sha256 || a.model_name != b.model_name || shape(a) != shape(b)) {
    fail_input("{}: of model '{}' ({}); expected '{}' ({}) as in {}", other.path().string(), b.model_name,
               shape(b), a.model_name, shape(a), first.path().string());
  }
}

void check_groups(const RecordingReader& recording) {
  const RecordingInfo& info = recording.info();
  if (info.n_heads % info.n_kv_heads == 0) return;
  fail_input("{}: {} heads and {} KV heads; expected groups of equal size", recording.path().string(),
             info.n_heads, info.n_kv_heads);
}

void check_whole(const RecordingReader& recording, bool allow_incomplete) {
  if (recording.info().complete || allow_incomplete) return;
  fail_input("{}: incomplete, {} committed steps; expected a closed recording (or --allow-incomplete)",
             recording.path().string(), recording.info().committed_steps);
}

Inputs open_inputs(const std::vector<std::filesystem::path>& paths, const AnalysisOptions& options) {
  if (paths.empty()) fail_input("recordings: none named; expected at least one");
  Inputs inputs;
  std::set<std::filesystem::path> seen;
  for (const auto& path : paths) {
    if (!seen.insert(std::filesystem::weakly_canonical(path)).second) {
      fail_input("{}: named twice; expected each recording once", path.string());
    }
    inputs.readers.emplace_back(path);
    check_groups(inputs.readers.back());
    check_whole(inputs.readers.back(), options.allow_incomplete);
    check_same_model(inputs.readers.front(), inputs.readers.back());
  }
  for (const auto& reader : inputs.readers) inputs.sources.emplace_back(reader);
  const auto gives_full_maps = [](const MapSource& source) {
    return source.is_full_run() && source.n_layers_with_maps() > 0 && source.steps() > 0;
  };
  const bool any_full = std::any_of(inputs.sources.begin(), inputs.sources.end(), gives_full_maps);
  for (const auto& source : inputs.sources) {
    // Under a sparse policy the hidden states drift: maps of full runs are not mixed with such.
    inputs.in_maps.push_back(!any_full || gives_full_maps(source));
    if (inputs.in_maps.back()) source.require_maps();
  }
  return inputs;
}

void check_given_map(const HeadMap& map, const AnalysisOptions& options, const RecordingInfo& model) {
  if (map.model_sha256 != model.model_sha256) {
    fail_input("head map: made for model {}; expected {} ('{}')", map.model_sha256, model.model_sha256,
               model.model_name);
  }
  if (map.unit != options.unit) fail_input("head map: of unit {}; expected {}", map.unit, options.unit);
}

std::string made_from(const std::vector<Sample>& samples) {
  std::string names;
  for (const auto& sample : samples) {
    if (!sample.in_maps) continue;
    names += fmt::format("{}{} ({} steps)", names.empty() ? "" : ", ", sample.path.filename().string(),
                         sample.steps);
  }
  return names;
}

/// The passes over the recordings.
class Run {
 public:
  Run(Inputs inputs, const AnalysisOptions& options)
      : inputs_(std::move(inputs)),
        model_(first_in_maps().recording().info()),
        result_(empty_result(options)) {
    for (std::size_t i = 0; i < inputs_.sources.size(); ++i) {
      const MapSource& source = inputs_.sources[i];
      result_.samples.push_back(
          {source.recording().path(), source.recording().info().policy, source.steps(), inputs_.in_maps[i]});
      if (inputs_.in_maps[i]) total_ += source.steps() * (options.map ? 1 : 2);
    }
    for (int layer = 0; layer < model_.n_layers; ++layer) {
      bool somewhere = false;
      for_sources([&](const MapSource& source) { somewhere = somewhere || source.has_layer(layer); });
      if (!somewhere) result_.layers_without_maps.push_back(layer);
    }
  }

  Analysis take() {
    make_map();
    if (!result_.stopped) measure();
    if (!result_.stopped) measure_sets();
    if (!result_.stopped) count_reuse();
    if (!result_.stopped) result_.evidence = measure_evidence(inputs_.sources);
    return std::move(result_);
  }

 private:
  const MapSource& first_in_maps() const {
    const auto first =
        std::find(inputs_.in_maps.begin(), inputs_.in_maps.end(), true) - inputs_.in_maps.begin();
    return inputs_.sources[static_cast<std::size_t>(first)];
  }

  Analysis empty_result(AnalysisOptions options) const {
    options.k_list = normalised_k_list(options.k_list);
    normalised_k_list({options.map_k});
    const auto& k_list = options.k_list;
    const int n_layers = model_.n_layers;
    return Analysis{options,
                    model_,
                    {},
                    {},
                    {},
                    OverlapMeter(k_list, n_layers),
                    OverlapMeter(k_list, n_layers),
                    OverlapMeter(k_list, n_layers),
                    PersistenceMeter(k_list, n_layers, options.max_distance),
                    UnionMeter(k_list, n_layers, model_.n_heads / model_.n_kv_heads),
                    {},
                    {},
                    {},
                    {},
                    {},
                    false};
  }

  StepSets sets_of(Sharing sharing, int width, Exclusion excluded) const {
    return StepSets(sharing, model_.n_heads, model_.n_kv_heads, width, excluded);
  }

  template <typename Visit>
  void for_sources(const Visit& visit) const {
    for (std::size_t i = 0; i < inputs_.sources.size(); ++i) {
      if (inputs_.in_maps[i]) visit(inputs_.sources[i]);
    }
  }

  /// Visits every step of a recording until told to stop.
  template <typename Visit>
  void for_steps(const MapSource& source, const Visit& visit) {
    StepMaps maps;
    for (std::int64_t step = 0; step < source.steps() && !result_.stopped; ++step) {
      source.read_step(step, maps);
      visit(maps);
      ++done_;
      const auto& progress = result_.options.progress;
      if (progress && !progress(done_, total_)) result_.stopped = true;
    }
  }

  void make_map() {
    const AnalysisOptions& options = result_.options;
    if (options.map) return check_given_map(*options.map, options, model_);
    StepSets sets = sets_of(sharing_of_unit(options.unit), options.map_k, options.map_excluded);
    HeadMapMaker maker(options.map_k, model_.n_layers, sets.n_rows());
    for_sources([&](const MapSource& source) {
      for_steps(source, [&](const StepMaps& maps) {
        sets.build(maps);
        maker.add_step(sets);
      });
    });
    MadeMap made{maker.make(), maker.same_head_mass()};
    made.map.model_sha256 = model_.model_sha256;
    made.map.unit = options.unit;
    made.map.excluded_sinks = options.map_excluded.sinks;
    made.map.excluded_recent = options.map_excluded.recent;
    made.map.made_from = made_from(result_.samples);
    result_.made_map = std::move(made);
  }

  void measure() {
    const AnalysisOptions& options = result_.options;
    const int width = options.k_list.back();
    StepSets head = sets_of(Sharing::head, width, options.excluded);
    StepSets group = sets_of(Sharing::group, width, options.excluded);
    StepSets layer = sets_of(Sharing::layer, width, options.excluded);
    const StepSets& unit = sharing_of_unit(options.unit) == Sharing::head ? head : group;
    result_.recall.emplace(options.k_list, model_.n_layers, unit.n_rows(), result_.map());
    std::vector<double> weight;
    for_sources([&](const MapSource& source) {
      weight.push_back(static_cast<double>(source.steps()));
      result_.overlap_head.begin_sample();
      result_.overlap_group.begin_sample();
      result_.overlap_layer.begin_sample();
      result_.recall->begin_sample();
      result_.persistence.begin_sample();
      result_.unions.begin_sample();
      for_steps(source, [&](const StepMaps& maps) {
        head.build(maps);
        group.build(maps);
        layer.build(maps);
        result_.overlap_head.add_step(head);
        result_.overlap_group.add_step(group);
        result_.overlap_layer.add_step(layer);
        result_.recall->add_step(unit);
        result_.persistence.add_step(head);
        result_.unions.add_step(head);
      });
    });
    result_.bootstrap.emplace(std::move(weight), options.seed);
  }

  void measure_sets() {
    const AnalysisOptions& options = result_.options;
    for (const MapSource& source : inputs_.sources) {
      const RecordingInfo& info = source.recording().info();
      if (!records_sets(source)) continue;
      auto meter = std::find_if(result_.sets.begin(), result_.sets.end(),
                                [&](const SetRecallMeter& known) { return known.policy() == info.policy; });
      if (meter == result_.sets.end()) {
        result_.sets.emplace_back(info.policy, info.placement, options.k_list, model_.n_layers,
                                  options.excluded, options.exclude_forced);
        meter = std::prev(result_.sets.end());
      }
      meter->add_recording(source);
    }
  }

  void count_reuse() {
    std::map<std::pair<std::string, int>, SetReuse> counts;
    for (const MapSource& source : inputs_.sources) {
      const RecordingReader& recording = source.recording();
      for (const int layer : recording.layers()) {
        const auto reused = recording.reused(layer);
        if (!reused) continue;
        const std::string& policy = recording.info().policy;
        SetReuse& count = counts.try_emplace({policy, layer}, SetReuse{policy, layer, 0, 0}).first->second;
        count.reused += std::count(reused->begin(), reused->end(), std::int8_t{1});
        count.anew += std::count(reused->begin(), reused->end(), std::int8_t{0});
      }
    }
    for (const auto& [key, count] : counts) result_.reuse.push_back(count);
  }

  bool records_sets(const MapSource& source) const {
    for (int layer = 0; layer < model_.n_layers; ++layer) {
      if (source.has_layer(layer) && source.recording().selected(layer)) return true;
    }
    return false;
  }

  Inputs inputs_;
  RecordingInfo model_;
  Analysis result_;
  std::int64_t done_ = 0, total_ = 0;
};

}  // namespace

Analysis analyze(const std::vector<std::filesystem::path>& recordings, const AnalysisOptions& options) {
  return Run(open_inputs(recordings, options), options).take();
}

}  // namespace tide::analysis
