// bench kernels: calls of the CPU kernels at a model's sizes, each against the machine's read bandwidth
// or told in operations a second, and against the kernel that it stands beside.

#include <algorithm>
#include <chrono>
#include <thread>

#include "analysis/statistics.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/bench/bench.h"
#include "cli/bench/result.h"
#include "cli/bench/rounds.h"
#include "kernels/bench/cases.h"

namespace tide::cli {

namespace {

using kernels::bench::Case;
using Clock = std::chrono::steady_clock;

constexpr double kRoundMs = 20;         // a round's calls take at least so long,
constexpr std::size_t kLeastCalls = 3;  // and are at least so many

/// The cases whose names hold one of `parts`; all where there are none. Throws InputError when a part is
/// in no name.
std::vector<Case> chosen_cases(std::vector<Case> cases, const std::vector<std::string>& parts) {
  const auto holds = [](const Case& one, const std::string& part) {
    return one.name.find(part) != std::string::npos;
  };
  for (const std::string& part : parts) {
    if (std::ranges::any_of(cases, [&](const Case& one) { return holds(one, part); })) continue;
    std::vector<std::string> names;
    for (const Case& one : cases) names.push_back(one.name);
    fail_input("--only '{}': in the name of no case; the nearest is '{}'", part, nearest(part, names));
  }
  if (parts.empty()) return cases;
  std::erase_if(cases, [&](const Case& one) {
    return std::ranges::none_of(parts, [&](const std::string& part) { return holds(one, part); });
  });
  return cases;
}

/// One round: the median call.
Timing time_calls(const std::function<void()>& call, double bytes) {
  std::vector<double> ms;
  for (double all = 0; all < kRoundMs || ms.size() < kLeastCalls; all += ms.back()) {
    const auto begin = Clock::now();
    call();
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  return {analysis::median(std::move(ms)), bytes};
}

nlohmann::json row_of_case(const std::vector<Case>& cases, std::size_t at, const Rounds& rounds) {
  auto row = row_of(rounds[at], rounds);
  row["program"] = "tidegauge";
  if (cases[at].operations > 0) {
    row["operations_derived"] = cases[at].operations;
    row["gflop_per_s_derived"] = rate_of(rounds[at], cases[at].operations / 1e9);
  }
  const auto base = std::ranges::find(cases, cases[at].base, &Case::name);
  if (base != cases.end()) {
    add_ratio(row, rounds[at], rounds[static_cast<std::size_t>(base - cases.begin())]);
  }
  return row;
}

}  // namespace

void bench_kernels(const BenchOptions& options) {
  const int all_cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  kernels::bench::Workbench bench(options.model.threads > 0 ? options.model.threads : all_cores);
  const std::vector<Case> cases = chosen_cases(all_cases(bench), options.only);
  std::vector<Contender> contenders;
  for (const Case& one : cases) {
    contenders.push_back(
        {one.name, [call = one.prepare(), bytes = one.bytes] { return time_calls(call, bytes); }});
  }
  for (const Contender& contender : contenders) contender.run();  // the first call finds no buffers
  ReadBandwidth memory(bench.pool.n_threads());
  const Rounds rounds = run_rounds(contenders, options.rounds.value_or(7), memory);
  if (!rounds.any()) return;

  auto result = result_head(options, machine_facts(bench.pool.n_threads()), rounds, "a call");
  for (std::size_t i = 0; i < cases.size(); ++i) result["rows"].push_back(row_of_case(cases, i, rounds));
  publish_result(options, result);
}

}  // namespace tide::cli
