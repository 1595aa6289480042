#pragma once
// What `plan` does, stage after stage: head map, search, choice, validation. Every stage goes on where an
// interrupted one stopped.

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/common.h"
#include "search/candidate.h"
#include "sweep/plan.h"

namespace tide::cli {

struct PlanOptions {
  ModelOptions model;
  std::string task = "needle", method = "tidal:recent=16,sinks=4", budget = "64", map = "auto";
  std::string cost = "rows";  ///< what is kept low: "rows" or "latency"
  std::int64_t latency_steps = 16;
  std::int64_t length = 1024, samples = 20, validate = 100, batch = 128, exhaustive = 500;
  std::vector<double> depths = {0.1, 0.3, 0.5, 0.7, 0.9};
  std::filesystem::path text, out;
  int max_select = 2, first = 2, beam = 6, n_random = 3;
  bool any_first = false, force = false, json = false;
  double floor = 0.95;
};

/// A command's stages share these.
struct PlanWork {
  const PlanOptions& options;
  Session session;
  std::string map;  ///< file of the head map in use; empty: none
  nlohmann::json seconds;

  std::string spec(const Candidate& candidate, bool mapped) const {
    return spec(candidate, mapped, options.budget);
  }
  std::string spec(const Candidate& candidate, bool mapped, const std::string& budget) const {
    std::string spec = options.method + (options.method.find(':') == std::string::npos ? ":" : ",");
    spec += "budget=" + budget + ",select=" + candidate.text();
    return mapped && !map.empty() ? spec + ",map=@" + map : spec;
  }
  template <typename F>
  auto timed(const char* stage, const F& run) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = run();
    seconds[stage] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }
};

/// At least `wanted` samples of the task, the same number at each depth, under these policies. Throws
/// InputError.
SweepPlan samples_of(const PlanWork& work, std::int64_t wanted, std::uint64_t seed,
                     const std::vector<std::string>& policies);

/// Runs every stage and writes placement.toml, plan.json (which `result` becomes) and validation/. False
/// after a signal. Throws WorkError, InputError.
bool run_plan_stages(PlanWork& work, nlohmann::json& result);

}  // namespace tide::cli
