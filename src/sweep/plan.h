#pragma once
// A config bound to a model: every sample and every policy of the sweep, checked before work begins.

#include <memory>
#include <string>
#include <vector>

#include "decode/policy.h"
#include "model/model.h"
#include "sweep/config.h"
#include "sweep/results.h"
#include "task/task.h"

namespace tide {

struct SweepPlan {
  SweepConfig config;  ///< resolved: canonical policies, checksums of model and files
  std::vector<std::unique_ptr<Task>> tasks;
  std::vector<std::shared_ptr<const AttentionPolicy>> policies;
  std::shared_ptr<const AttentionPolicy> full;  ///< the reference of fidelity

  struct SampleRef {
    const Task* task;
    SampleSpec spec;
  };
  std::vector<SampleRef> samples;  ///< in the order of work
  bool forced_only = false;        ///< no answer is decoded freely: teacher-forced measures alone

  std::int64_t n_rows() const { return static_cast<std::int64_t>(samples.size() * policies.size()); }
};

/// Throws InputError: an unknown task, a policy that make_policy refuses, another model's or another file's
/// checksum than the config names, a length that leaves no room in the model's positions, a grid that is
/// empty.
SweepPlan make_plan(SweepConfig config, const Model& model);

/// The key of a sample's row under a policy.
RowKey row_key(const Task& task, const SampleSpec& spec, const AttentionPolicy& policy);

}  // namespace tide
