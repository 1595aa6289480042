#include "cli/bench/result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "analysis/figures.h"
#include "base/file.h"

namespace tide::cli {

namespace {

/// Milliseconds, or microseconds where those say more.
std::string time_text(const nlohmann::json& row) {
  const double median = row.at("median_ms"), low = row.at("min_ms"), high = row.at("max_ms");
  if (median >= 0.1) return fmt::format("{:9.2f} ms ({:.2f} to {:.2f})", median, low, high);
  return fmt::format("{:9.2f} us ({:.2f} to {:.2f})", 1e3 * median, 1e3 * low, 1e3 * high);
}

std::string quotient_text(const nlohmann::json& quotient) {
  return fmt::format("{:.3f} ({:.3f} to {:.3f}) of {}", quotient.at("median").get<double>(),
                     quotient.at("min").get<double>(), quotient.at("max").get<double>(),
                     quotient.at("to").get<std::string>());
}

void print_row(const nlohmann::json& row) {
  std::string line = "  " + time_text(row) + "  " + row.at("name").get<std::string>();
  if (row.contains("tokens_per_s")) {
    line += fmt::format(", {:.0f} tokens/s", row.at("tokens_per_s").at("median").get<double>());
  }
  if (row.contains("gb_per_s_derived")) {
    line += fmt::format(", {:.1f} GB/s, {:.0f} % of a plain read",
                        row.at("gb_per_s_derived").at("median").get<double>(),
                        100 * row.at("share_of_read_bandwidth_derived").at("median").get<double>());
  }
  if (row.contains("gflop_per_s_derived")) {
    line += fmt::format(", {:.0f} GFLOP/s", row.at("gflop_per_s_derived").at("median").get<double>());
  }
  std::printf("%s\n", line.c_str());
  for (const auto& ratio : row.value("ratios", nlohmann::json::array())) {
    std::printf("%16s time: %s\n", "", quotient_text(ratio).c_str());
  }
  for (const auto& speedup : row.value("speedups", nlohmann::json::array())) {
    std::printf("%15s speed: %s\n", "", quotient_text(speedup).c_str());
  }
}

void print_table(const nlohmann::json& result) {
  const auto& read = result.at("read_gb_per_s");
  std::printf("bench %s, %d threads; a plain read of memory: %.1f GB/s (%.1f to %.1f); times: %s\n",
              result.at("what").get<std::string>().c_str(), result.at("machine").at("threads").get<int>(),
              read.at("median").get<double>(), read.at("min").get<double>(), read.at("max").get<double>(),
              result.at("unit").get<std::string>().c_str());
  for (const auto& row : result.at("rows")) print_row(row);
}

/// This program's name, without the folder it lies in, and its arguments.
std::vector<std::string> command_line() {
  std::ifstream arguments("/proc/self/cmdline");
  std::vector<std::string> words;
  for (std::string word; std::getline(arguments, word, '\0');) words.push_back(word);
  if (!words.empty()) words.front() = std::filesystem::path(words.front()).filename().string();
  return words;
}

/// "SmolLM2 135M, 1024 tokens, 2 threads; median of 7 rounds, line from the fastest to the slowest".
std::string figure_subtitle(const nlohmann::json& result) {
  std::string text;
  if (result.contains("model")) text += result.at("model").get<std::string>() + ", ";
  if (result.contains("length")) text += fmt::format("{} tokens, ", result.at("length").get<std::int64_t>());
  return text + fmt::format("{} threads; medians of {} rounds, lines from the fastest to the slowest",
                            result.at("machine").at("threads").get<int>(), result.at("rounds").get<int>());
}

void write_figure(const std::filesystem::path& out, const nlohmann::json& result) {
  constexpr double kLinear = 20;  // slowest over fastest, beyond which an axis from 0 hides the fast ones
  analysis::RangeChart chart;
  chart.title = "bench " + result.at("what").get<std::string>();
  chart.subtitle = figure_subtitle(result);
  chart.x_label = result.at("unit").get<std::string>() + " (ms)";
  for (const auto& row : result.at("rows")) {
    chart.rows.push_back(
        {row.at("name"), row.at("median_ms"), row.at("min_ms"), row.at("max_ms"), row.at("program")});
  }
  const auto [least, most] = std::ranges::minmax(chart.rows, {}, &analysis::NamedRange::value);
  chart.log_x = most.value > kLinear * least.value;
  auto stem = out;
  if (stem.extension() == ".json") stem.replace_extension();
  write_range_chart(stem, chart, {.png = false, .svg = true, .pdf = false});
}

}  // namespace

nlohmann::json result_head(const BenchOptions& options, nlohmann::json machine, const Rounds& rounds,
                           const std::string& unit) {
  nlohmann::json read = spread(rounds.read_gb_per_s);
  read["samples"] = rounds.read_gb_per_s;
  read["block_bytes"] = ReadBandwidth::bytes();
  return {{"format", "tidegauge-bench"},
          {"version", 1},
          {"what", options.what},
          {"unit", unit},
          {"rounds", rounds.figures.front().ms.size()},
          {"command", command_line()},
          {"read_gb_per_s", read},
          {"quiet", {{"load_average_before", rounds.load_before}, {"steal_share", rounds.steal_share}}},
          {"machine", std::move(machine)},
          {"rows", nlohmann::json::array()}};
}

nlohmann::json result_head(const BenchOptions& options, const Session& session, const Rounds& rounds,
                           const std::string& unit) {
  const Decoder& decoder = *session.decoder;
  auto head = result_head(options, machine_facts(decoder.n_threads(), decoder.cpus()), rounds, unit);
  head["model"] = session.model->config().name;
  head["dtype"] = options.model.dtype;
  head["kv_dtype"] = options.model.kv_dtype;
  return head;
}

void publish_result(const BenchOptions& options, const nlohmann::json& result) {
  if (!options.out.empty()) write_text_atomically(options.out, result.dump(2) + "\n");
  if (options.json) {
    print_json(result);
  } else {
    print_table(result);
  }
  if (!options.out.empty()) write_figure(options.out, result);
}

}  // namespace tide::cli
