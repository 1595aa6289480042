#include "sweep/plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/registry.h"

namespace tide {

namespace {

/// Room for answers: what protocols ask for at most, or what the config allows.
constexpr std::int64_t kAnswerRoom = 32;

void check_digest(const std::string& what, std::string& wanted, const std::string& actual) {
  if (!wanted.empty() && wanted != actual) {
    fail_input("{}: has SHA-256 {}, the config names {}", what, actual, wanted);
  }
  wanted = actual;
}

/// Files named in a spec by `key=@FILE`.
std::vector<std::string> files_of(const std::string& spec) {
  std::vector<std::string> files;
  const auto colon = spec.find(':');
  if (colon == std::string::npos) return files;
  for (const std::string& field : split(std::string_view(spec).substr(colon + 1), ',')) {
    const auto at = field.find("=@");
    if (at != std::string::npos) files.push_back(field.substr(at + 2));
  }
  return files;
}

/// The checksums of every file that decides results.
void check_files(SweepConfig& config) {
  std::vector<std::string> files;
  if (!config.text.empty()) files.push_back(config.text);
  for (const std::string& spec : config.policies) {
    for (std::string& file : files_of(spec)) files.push_back(std::move(file));
  }
  std::map<std::string, std::string> digests;
  for (const std::string& file : files) {
    if (digests.contains(file)) continue;
    auto& digest = digests[file] = config.files[file];
    check_digest(file, digest, sha256_of_file(file));
  }
  config.files = std::move(digests);
}

/// Binds every spec, once each; the config's list becomes the canonical one.
void bind_policies(SweepPlan& plan, const Model& model) {
  const PolicyContext context{&model.config(), model.sha256()};
  std::vector<std::string> canonical;
  for (const std::string& spec : plan.config.policies) {
    auto policy = make_policy(spec, context);
    if (std::find(canonical.begin(), canonical.end(), policy->canonical()) != canonical.end()) continue;
    canonical.push_back(policy->canonical());
    plan.policies.push_back(std::move(policy));
  }
  plan.config.policies = std::move(canonical);
  plan.full = make_policy("full", context);
}

void list_samples(SweepPlan& plan, const Task& task) {
  const SweepConfig& config = plan.config;
  const std::vector<std::optional<double>> depths =
      task.has_depth() ? std::vector<std::optional<double>>(config.depths.begin(), config.depths.end())
                       : std::vector<std::optional<double>>(1);
  for (const std::int64_t length : config.lengths) {
    // Index outermost, so that an interrupted sweep has seen every depth.
    for (std::int64_t index = 0; index < config.samples; ++index) {
      for (const std::int64_t seed : config.seeds) {
        for (const auto& depth : depths) {
          plan.samples.push_back({&task, {length, depth, index, static_cast<std::uint64_t>(seed)}});
        }
      }
    }
  }
}

void check_lengths(const SweepConfig& config, const ModelConfig& model) {
  const std::int64_t room = std::max(config.new_tokens, kAnswerRoom);
  for (const std::int64_t length : config.lengths) {
    if (length + room > model.max_positions) {
      fail_input("lengths: {} tokens and {} of answer exceed the model's {} positions", length, room,
                 model.max_positions);
    }
  }
  for (const std::int64_t length :
       config.latency_steps > 0 ? config.latency_lengths : std::vector<std::int64_t>()) {
    if (length + config.latency_steps + 1 > model.max_positions) {
      fail_input("latency_lengths: {} tokens and {} steps exceed the model's {} positions", length,
                 config.latency_steps + 1, model.max_positions);
    }
  }
}

/// Makes the first sample of every task and length, so that what cannot be made is told before work begins.
void try_samples(const SweepPlan& plan) {
  std::set<std::pair<const Task*, std::int64_t>> tried;
  for (const auto& sample : plan.samples) {
    if (tried.insert({sample.task, sample.spec.length}).second) sample.task->sample(sample.spec);
  }
}

template <typename T>
void check_unique(const char* key, std::vector<T> values) {
  std::sort(values.begin(), values.end());
  const auto twice = std::adjacent_find(values.begin(), values.end());
  if (twice != values.end()) fail_input("{}: {} is named twice", key, *twice);
}

}  // namespace

SweepPlan make_plan(SweepConfig config, const Model& model) {
  check_unique("tasks", config.tasks);
  check_unique("lengths", config.lengths);
  check_unique("depths", config.depths);
  check_unique("seeds", config.seeds);
  check_lengths(config, model.config());
  SweepPlan plan;
  plan.config = std::move(config);
  check_digest(model.path().string(), plan.config.model_sha256, model.sha256());
  check_files(plan.config);
  bind_policies(plan, model);
  for (const std::string& name : plan.config.tasks) {
    plan.tasks.push_back(make_task(name, {plan.config.text, plan.config.raw}, model.tokenizer()));
    list_samples(plan, *plan.tasks.back());
  }
  try_samples(plan);
  return plan;
}

RowKey row_key(const Task& task, const SampleSpec& spec, const AttentionPolicy& policy) {
  return {task.name(), spec.length, spec.depth, spec.index, spec.seed, policy.canonical()};
}

}  // namespace tide
