#include <fmt/format.h>

#include <algorithm>

#include "analysis/presentation.h"
#include "analysis/report_attention.h"

namespace tide::analysis {
namespace {

LayerMatrix layer_matrix(const SampleMatrix& samples, const char* measure, const char* variant, int k) {
  const Eigen::MatrixXd values = samples.mean();
  LayerMatrix matrix{measure, variant, k, {}};
  for (Eigen::Index i = 0; i < values.rows(); ++i) {
    for (Eigen::Index j = 0; j < values.cols(); ++j) matrix.value.push_back(static_cast<float>(values(i, j)));
  }
  return matrix;
}

void add_matrices(const Analysis& a, std::size_t n, RecordingReport& report) {
  const int k = a.options.k_list[n];
  auto& out = report.matrices;
  out.push_back(layer_matrix(a.overlap_head.overlap(n), "overlap", "head", k));
  out.push_back(layer_matrix(a.overlap_group.overlap(n), "overlap", "group", k));
  out.push_back(layer_matrix(a.overlap_layer.overlap(n), "overlap", "layer", k));
  out.push_back(layer_matrix(a.overlap_head.jaccard(n), "jaccard", "head", k));
  out.push_back(layer_matrix(a.overlap_group.jaccard(n), "jaccard", "group", k));
  out.push_back(layer_matrix(a.overlap_layer.jaccard(n), "jaccard", "layer", k));
  for (const bool mapped : {false, true}) {
    const char* const variant = mapped ? "mapped" : "same head";
    out.push_back(layer_matrix(a.recall->recall(n, mapped), "recall", variant, k));
    out.push_back(layer_matrix(a.recall->mass(n, mapped), "mass", variant, k));
  }
}

void add_persistence(const Analysis& a, std::size_t n, RecordingReport& report) {
  const Eigen::MatrixXd values = a.persistence.persistence(n).mean();
  PersistenceTable table;
  table.k = a.options.k_list[n];
  for (Eigen::Index d = 0; d < values.cols(); ++d) table.distance.push_back(static_cast<int>(d) + 1);
  for (Eigen::Index layer = 0; layer < values.rows(); ++layer) {
    for (Eigen::Index d = 0; d < values.cols(); ++d)
      table.value.push_back(static_cast<float>(values(layer, d)));
  }
  report.persistence.push_back(std::move(table));
}

void add_curves(const Analysis& a, const SetRecallMeter& sets, std::size_t n, int k,
                RecordingReport& report) {
  const Eigen::MatrixXd values = sets.values().mean();
  const auto curve = [&](std::string name, std::string unit, Eigen::Index column) {
    LayerCurve out{std::move(name), std::move(unit), {}, {}, {}};
    for (int layer = 0; layer < a.model.n_layers; ++layer) {
      out.value.push_back(static_cast<float>(values(layer, column)));
    }
    report.curves.push_back(std::move(out));
  };
  curve(fmt::format("recall of the recorded sets at k = {}, {}", k, sets.policy()), "share",
        static_cast<Eigen::Index>(n));
  curve(fmt::format("mass on the recorded sets, {}", sets.policy()), "share", sets.mass());
  curve(fmt::format("positions in the recorded sets, {}", sets.policy()), "positions", sets.size());
}

/// Attention of the first recording of each policy, two at most: what a reader wants to look at.
void add_attention(const Analysis& a, std::int64_t max_bytes, RecordingReport& report) {
  std::vector<const Sample*> shown;
  for (const auto& sample : a.samples) {
    const bool known = std::any_of(shown.begin(), shown.end(),
                                   [&](const Sample* other) { return other->policy == sample.policy; });
    if (!known && shown.size() < 2) shown.push_back(&sample);
  }
  for (const Sample* sample : shown) {
    const RecordingReader recording(sample->path);
    report.attention.push_back(
        load_attention_view(recording, max_bytes / static_cast<std::int64_t>(shown.size())));
  }
}

}  // namespace

RecordingReport recording_report(const Analysis& a, const Findings& findings,
                                 std::int64_t max_attention_bytes) {
  RecordingReport report;
  report.title = fmt::format("{}: where layers look", a.model.model_name);
  report.findings = findings.sentences;
  report.notes = findings.notes;
  report.n_layers = a.model.n_layers;
  report.n_heads = a.model.n_heads;
  report.n_kv_heads = a.model.n_kv_heads;
  const bool one_policy = std::all_of(a.samples.begin(), a.samples.end(), [&](const Sample& sample) {
    return sample.policy == a.samples.front().policy;
  });
  if (one_policy) report.placement = a.model.placement;
  report.facts = {{"model", a.model.model_name},
                  {"layers, heads, KV heads",
                   fmt::format("{}, {}, {}", a.model.n_layers, a.model.n_heads, a.model.n_kv_heads)}};
  for (const auto& sample : a.samples) {
    report.facts.emplace_back(sample.path.filename().string(),
                              fmt::format("{}, {} steps", sample.policy, sample.steps));
  }
  const std::size_t headline = headline_k_index(a);
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    add_matrices(a, n, report);
    add_persistence(a, n, report);
  }
  for (const auto& sets : a.sets) add_curves(a, sets, headline, findings.k, report);
  for (LayerCurve& curve : evidence_curves(a)) report.curves.push_back(std::move(curve));
  add_attention(a, max_attention_bytes, report);
  return report;
}

}  // namespace tide::analysis
