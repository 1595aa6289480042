#pragma once
// What `plan` does, stage after stage: head maps and evidence, search, choice, validation. Every stage goes
// on where an interrupted one stopped.

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/plan_space.h"
#include "search/judge.h"
#include "sweep/plan.h"
#include "sweep/prompts.h"

namespace tide::cli {

struct PlanOptions {
  ModelOptions model;
  std::string task = "needle", method = "tidal", map = "auto";
  std::vector<std::string> budgets = {"64"};
  std::vector<int> map_k = {16, 64, 256};
  std::string cost = "rows";  ///< what is kept low: "rows" or "latency"
  std::string search = "auto", criterion = "agree";
  std::int64_t latency_steps = 16;
  std::int64_t length = 1024, samples = 20, choice = 40, validate = 100, batch = 128, exhaustive = 500;
  std::vector<double> depths = {0.1, 0.3, 0.5, 0.7, 0.9};
  std::filesystem::path text, out;
  int max_select = 2, first = 2, beam = 6, n_random = 3;
  bool any_first = false, force = false, json = false;
  double floor = 0.95;
  std::optional<double> cost_at_most;

  Objective objective() const { return {floor, cost_at_most}; }
};

/// A command's stages share these.
struct PlanWork {
  const PlanOptions& options;
  Session session;
  PlanMethod method;
  PlanMaps maps;  ///< where head maps stand, or will
  nlohmann::json seconds = {};
  /// Prompts of the search's samples: the choice decodes them again. A quarter of a small machine's memory.
  PromptKeeper keeper{std::size_t{4} << 30};

  /// The budget's settings, with what `--method` fixes.
  SettingSpace settings(const std::string& budget) const {
    return setting_space(method, maps, budget, options.length);
  }
  std::string spec(const Candidate& candidate) const { return spec_of(candidate, method, maps); }
  CandidateSpace space() const {
    return {session.model->config().n_layers, options.first, options.max_select, !options.any_first};
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

/// Ends at a signal, and tells a terminal how far it is.
SweepHooks hooks_for(Progress& progress);

/// Runs every stage and writes placement.toml, plan.json (which `result` becomes) and validation/. False
/// after a signal. Throws WorkError, InputError.
bool run_plan_stages(PlanWork& work, nlohmann::json& result);

}  // namespace tide::cli
