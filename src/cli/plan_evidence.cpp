#include "cli/plan_evidence.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "calibrate/anchors.h"
#include "calibrate/head_map_meter.h"
#include "calibrate/layer_similarity.h"
#include "calibrate/observer_group.h"
#include "calibrate/text_blocks.h"
#include "task/text_source.h"

namespace tide::cli {

namespace {

namespace fs = std::filesystem;

/// The maps of one source ("text", "task"): a meter for each unit that candidates take.
class MapMakers {
 public:
  MapMakers(const PlanWork& work, const std::string& source, std::vector<std::int64_t> rows) : work_(work) {
    ks_ = work.options.map_k;
    std::sort(ks_.begin(), ks_.end());
    for (std::size_t i = 0; i < ks_.size(); ++i) {
      const auto files = work.maps.files.find(fmt::format("{}-{}", source, ks_[i]));
      if (files == work.maps.files.end()) continue;
      for (const auto& [unit, file] : files->second) {
        files_.push_back({unit, i, file});
        if (meters_.contains(unit)) continue;
        meters_[unit] =
            std::make_unique<HeadMapMeter>(work.session.model->config(), HeadMapPlan{rows, ks_, unit});
      }
    }
  }

  bool done() const {
    return std::all_of(files_.begin(), files_.end(), [](const File& one) { return fs::exists(one.path); });
  }
  std::vector<DecodeObserver*> observers() const {
    std::vector<DecodeObserver*> all;
    for (const auto& [unit, meter] : meters_) all.push_back(meter.get());
    return all;
  }
  void look_at(const std::vector<std::int64_t>& rows) {
    for (const auto& [unit, meter] : meters_) meter->look_at(rows);
  }
  void write(const std::string& made_from) const {
    for (const File& one : files_) {
      HeadMap map = meters_.at(one.unit)->head_map(one.which);
      map.model_sha256 = work_.session.model->sha256();
      map.made_from = made_from;
      write_head_map(one.path, map);
    }
  }

 private:
  struct File {
    std::string unit;
    std::size_t which;  ///< of the ks
    fs::path path;
  };
  const PlanWork& work_;
  std::vector<int> ks_;
  std::vector<File> files_;
  std::map<std::string, std::unique_ptr<HeadMapMeter>> meters_;  // by unit
};

/// False after a signal.
bool measure_text(const PlanWork& work, const fs::path& file) {
  const PlanOptions& options = work.options;
  const Model& model = *work.session.model;
  constexpr std::int64_t kBlocks = 8, kRows = 32;
  const std::int64_t length = std::min<std::int64_t>(1024, model.config().max_positions - 1);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < kRows; ++i) rows.push_back(length / 2 + i * (length / 2) / kRows);
  MapMakers makers(work, "text", rows);
  if (fs::exists(file) && makers.done()) return true;
  LayerSimilarity similarity(model.config(), {.rows = rows});
  auto observers = makers.observers();
  observers.push_back(&similarity);
  PrefillObservers all(observers);
  const std::string name = options.text.empty() ? "the King James Bible" : options.text.string();
  const std::string text = options.text.empty() ? king_james_text() : to_valid_utf8(read_text(options.text));
  const auto blocks = draw_blocks(model.tokenizer(), text, name, {kBlocks, length, options.model.seed});
  Progress progress("plain text");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (interrupted()) return false;
    work.session.decoder->prefill(blocks[i], &all);
    similarity.end_prompt();
    progress.update(static_cast<std::int64_t>(i + 1), kBlocks);
  }
  const std::string made_from = fmt::format("{} rows of {} blocks of {} positions of {}, seed {}",
                                            kBlocks * kRows, kBlocks, length, name, options.model.seed);
  makers.write(made_from);
  const nlohmann::json report = {{"made_from", made_from},
                                 {"similarity", similarity.similarity(similarity.head_map())},
                                 {"importance", similarity.importance()}};
  write_text_atomically(file, report.dump(1) + "\n");
  return true;
}

/// The rows that decode the answers to the search's samples. False after a signal.
bool measure_task(const PlanWork& work) {
  MapMakers makers(work, "task", {});
  if (makers.observers().empty() || makers.done()) return true;
  const PlanOptions& options = work.options;
  const SweepPlan plan = samples_of(work, options.samples, options.model.seed, {"full"});
  PrefillObservers all(makers.observers());
  std::int64_t n_rows = 0;
  Progress progress("task");
  for (std::size_t i = 0; i < plan.samples.size(); ++i) {
    if (interrupted()) return false;
    const Sample sample = plan.samples[i].task->sample(plan.samples[i].spec);
    std::vector<std::int32_t> ids = sample.prompt_ids;
    ids.insert(ids.end(), sample.answer_ids.begin(), sample.answer_ids.end());
    std::vector<std::int64_t> rows;  // a prefill stops before the last id
    for (std::int64_t row = std::ssize(sample.prompt_ids) - 1; row < std::ssize(ids) - 1; ++row)
      rows.push_back(row);
    n_rows += std::ssize(rows);
    makers.look_at(rows);
    work.session.decoder->prefill(ids, &all);
    progress.update(static_cast<std::int64_t>(i + 1), std::ssize(plan.samples));
  }
  makers.write(fmt::format("{} answer steps of {} samples of {}, {} tokens, seed {}", n_rows,
                           plan.samples.size(), options.task, options.length, options.model.seed));
  return true;
}

/// Dynamic programming over the layers from the first selection layer on.
std::map<int, std::vector<int>> placements_of(const PlanWork& work, const nlohmann::json& report) {
  const auto similarity = report.at("similarity").get<std::vector<std::vector<double>>>();
  const auto importance = report.at("importance").get<std::vector<double>>();
  const auto first = static_cast<std::size_t>(work.options.first), n = importance.size();
  std::vector<std::vector<double>> worth(n - first, std::vector<double>(n - first));
  for (std::size_t source = first; source < n; ++source) {
    for (std::size_t reader = source; reader < n; ++reader)
      worth[source - first][reader - first] = similarity[source][reader] * importance[reader];
  }
  std::map<int, std::vector<int>> placements;
  const int most = std::min(work.options.max_select, static_cast<int>(n - first));
  for (int count = 1; count <= most; ++count) {
    for (const int layer : best_anchors(worth, count).layers)
      placements[count].push_back(layer + work.options.first);
  }
  return placements;
}

}  // namespace

std::optional<PlanEvidence> measure_evidence(PlanWork& work) {
  const fs::path folder = work.options.out / "headmaps", file = work.options.out / "evidence.json";
  fs::create_directories(folder);
  if (!measure_text(work, file) || !measure_task(work)) return std::nullopt;
  PlanEvidence evidence{read_json(file), {}};
  evidence.placements = placements_of(work, evidence.report);
  for (const auto& [count, layers] : evidence.placements)
    evidence.report["placements"].push_back({{"select_layers", count}, {"select", layers}});
  return evidence;
}

}  // namespace tide::cli
