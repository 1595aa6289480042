// The data of a recordings' page.

#include "analysis/report.h"
#include "analysis/report_page.h"
#include "base/error.h"

namespace tide::analysis {
namespace {

std::string base64_of(const std::vector<std::uint8_t>& bytes) {
  return base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

nlohmann::json attention_json(const AttentionView& view) {
  nlohmann::json out = {{"name", view.name},
                        {"shadow", view.shadow},
                        {"top_only", view.top_only},
                        {"prompt_len", view.prompt_len},
                        {"layers", view.layers},
                        {"heads", view.heads},
                        {"steps", view.steps},
                        {"kv_len", view.kv_len},
                        {"bin", view.bin_positions},
                        {"n_bins", view.n_bins},
                        {"floor_log10", kAttentionFloorLog10},
                        {"token", view.token},
                        {"notes", view.notes}};
  out["role"] = view.role;
  out["code"] = nlohmann::json::array();
  for (const auto& code : view.code) out["code"].push_back(base64_of(code));
  out["read_bits"] = nlohmann::json::array();
  for (const auto& bits : view.read_bits) out["read_bits"].push_back(base64_of(bits));
  return out;
}

void check(const std::filesystem::path& html, const RecordingReport& report) {
  const auto n = static_cast<std::size_t>(report.n_layers);
  const auto expect = [&](std::size_t size, std::size_t expected, const std::string& what) {
    if (size != expected)
      fail_input("write {}: {} has {} values, expected {}", html.string(), what, size, expected);
  };
  if (!report.placement.empty()) expect(report.placement.size(), n, "placement");
  for (const LayerMatrix& matrix : report.matrices) expect(matrix.value.size(), n * n, matrix.measure);
  for (const PersistenceTable& table : report.persistence) {
    expect(table.value.size(), n * table.distance.size(), "persistence");
  }
  for (const LayerCurve& curve : report.curves) expect(curve.value.size(), n, curve.name);
  for (const AttentionView& view : report.attention) {
    const std::size_t cells = view.heads.size() * view.steps.size() * static_cast<std::size_t>(view.n_bins);
    expect(view.code.size(), view.layers.size(), view.name);
    expect(view.read_bits.size(), view.layers.size(), view.name + ": positions read");
    for (const auto& code : view.code) expect(code.size(), cells, view.name + ": a layer's map");
  }
}

}  // namespace

void write_recording_report(const std::filesystem::path& out_html, const RecordingReport& report,
                            PlotlyPlace plotly) {
  check(out_html, report);
  nlohmann::json data = {
      {"kind", "recording"},       {"title", report.title},           {"findings", report.findings},
      {"facts", report.facts},     {"notes", report.notes},           {"n_layers", report.n_layers},
      {"n_heads", report.n_heads}, {"n_kv_heads", report.n_kv_heads}, {"placement", report.placement}};
  for (const char* list : {"matrices", "persistence", "curves", "attention"})
    data[list] = nlohmann::json::array();
  for (const LayerMatrix& matrix : report.matrices) {
    data["matrices"].push_back({{"measure", matrix.measure},
                                {"variant", matrix.variant},
                                {"k", matrix.k},
                                {"value", json_numbers(matrix.value)}});
  }
  for (const PersistenceTable& table : report.persistence) {
    data["persistence"].push_back(
        {{"k", table.k}, {"distance", table.distance}, {"value", json_numbers(table.value)}});
  }
  for (const LayerCurve& curve : report.curves) {
    data["curves"].push_back({{"name", curve.name},
                              {"unit", curve.unit},
                              {"value", json_numbers(curve.value)},
                              {"low", json_numbers(curve.low)},
                              {"high", json_numbers(curve.high)}});
  }
  for (const AttentionView& view : report.attention) {
    if (!view.layers.empty()) data["attention"].push_back(attention_json(view));
  }
  write_page(out_html, data, plotly);
}

}  // namespace tide::analysis
