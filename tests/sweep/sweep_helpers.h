#pragma once
// A sweep on the tiny model: needles in made-up text.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sweep/engine.h"
#include "task/needle.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"
#include "tests/task/sample_text.h"

namespace tide::testing {

/// `samples` needles of 420 byte tokens at depths 0.2 and 0.8, under `specs`, in batches of `batch` rows.
inline SweepPlan tiny_plan(const Model& model, const std::vector<std::string>& specs, std::int64_t samples,
                           std::int64_t batch) {
  SweepPlan plan;
  plan.config.policies = specs;
  plan.config.batch = batch;
  plan.tasks.push_back(std::make_unique<NeedleTask>(std::make_shared<TextSource>(sentences(300), "test"),
                                                    true, model.tokenizer()));
  for (const std::string& spec : specs) plan.policies.push_back(policy_of(spec));
  plan.full = policy_of("full");
  for (std::int64_t index = 0; index < samples; ++index) {
    for (const double depth : {0.2, 0.8})
      plan.samples.push_back({plan.tasks.front().get(), {420, depth, index, 0}});
  }
  return plan;
}

/// An empty place for a results file.
inline std::filesystem::path fresh_path(const std::string& name) {
  const auto path = std::filesystem::path(::testing::TempDir()) / name;
  std::filesystem::remove(path);
  return path;
}

}  // namespace tide::testing
