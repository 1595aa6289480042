#include "cli/bench/rounds.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <numeric>

#include "analysis/statistics.h"
#include "cli/common.h"

namespace tide::cli {

namespace {

/// Time of all processors since the start, in ticks: all of it, and what the host took.
struct ProcessorTime {
  double all = 0, stolen = 0;
};

ProcessorTime processor_time() {
  std::ifstream stat("/proc/stat");
  std::string word;
  stat >> word;
  std::array<double, 8> ticks{};  // user nice system idle iowait irq softirq steal
  for (double& t : ticks) stat >> t;
  return {std::accumulate(ticks.begin(), ticks.end(), 0.0), ticks.back()};
}

double load_average() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

/// One round; empty when it was interrupted.
std::vector<Timing> run_round(std::span<const Contender> contenders, bool reversed) {
  std::vector<Timing> timings(contenders.size());
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    const std::size_t at = reversed ? contenders.size() - 1 - i : i;
    timings[at] = contenders[at].run();
    if (interrupted()) return {};
  }
  return timings;
}

}  // namespace

Rounds run_rounds(std::span<const Contender> contenders, std::int64_t n_rounds, ReadBandwidth& memory) {
  Rounds rounds;
  for (const Contender& contender : contenders) rounds.figures.push_back({contender.name, {}, 0});
  rounds.load_before = load_average();
  const ProcessorTime begin = processor_time();
  rounds.read_gb_per_s.push_back(memory.measure());
  Progress progress("bench");
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    const std::vector<Timing> timings = run_round(contenders, round % 2 == 1);
    if (timings.empty()) break;
    for (std::size_t i = 0; i < timings.size(); ++i) {
      rounds.figures[i].ms.push_back(timings[i].ms);
      rounds.figures[i].bytes = timings[i].bytes;
    }
    rounds.read_gb_per_s.push_back(memory.measure());
    progress.update(round + 1, n_rounds);
  }
  const ProcessorTime end = processor_time();
  if (end.all > begin.all) rounds.steal_share = (end.stolen - begin.stolen) / (end.all - begin.all);
  return rounds;
}

nlohmann::json spread(std::span<const double> values) {
  return {{"median", analysis::median({values.begin(), values.end()})},
          {"min", *std::min_element(values.begin(), values.end())},
          {"max", *std::max_element(values.begin(), values.end())}};
}

nlohmann::json row_of(const Figures& figures, const Rounds& rounds) {
  const nlohmann::json ms = spread(figures.ms);
  nlohmann::json row = {{"name", figures.name},
                        {"median_ms", ms.at("median")},
                        {"min_ms", ms.at("min")},
                        {"max_ms", ms.at("max")},
                        {"rounds_ms", figures.ms}};
  if (figures.bytes <= 0) return row;
  std::vector<double> rates, shares;
  for (std::size_t i = 0; i < figures.ms.size(); ++i) {
    rates.push_back(figures.bytes / figures.ms[i] / 1e6);
    shares.push_back(rates[i] / ((rounds.read_gb_per_s[i] + rounds.read_gb_per_s[i + 1]) / 2));
  }
  row["bytes_derived"] = figures.bytes;
  row["gb_per_s_derived"] = spread(rates);
  row["share_of_read_bandwidth_derived"] = spread(shares);
  return row;
}

nlohmann::json rate_of(const Figures& figures, double units) {
  std::vector<double> rates;
  for (const double ms : figures.ms) rates.push_back(1e3 * units / ms);
  return spread(rates);
}

nlohmann::json quotient(const Figures& of, const Figures& to) {
  std::vector<double> quotients;
  for (std::size_t i = 0; i < of.ms.size(); ++i) quotients.push_back(of.ms[i] / to.ms[i]);
  nlohmann::json told = spread(quotients);
  told["to"] = to.name;
  return told;
}

void add_ratio(nlohmann::json& row, const Figures& of, const Figures& to) {
  row["ratios"].push_back(quotient(of, to));
}

void add_speedup(nlohmann::json& row, const Figures& of, const Figures& to) {
  nlohmann::json told = quotient(to, of);
  told["to"] = to.name;
  row["speedups"].push_back(told);
}

}  // namespace tide::cli
