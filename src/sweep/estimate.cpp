#include "sweep/estimate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "sweep/fidelity.h"
#include "sweep/results.h"
#include "sweep/row_room.h"
#include "sweep/sample_size.h"
#include "sweep/sample_work.h"

namespace tide {

namespace {

/// What a few steps of rows of one sample showed.
struct Trial {
  std::int64_t rows = 0;
  double row_step_ms = 0;
  std::int64_t row_bytes = 0;  ///< after those steps
};

/// Decodes the plan's first rows for a few steps: as many as `room` leaves for.
Trial try_rows(Decoder& decoder, const SweepPlan& plan, const SampleWork& work, std::int64_t room) {
  constexpr int kSteps = 4;
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> rows;
  const std::int64_t before = resident_bytes();
  const auto wanted = std::min(static_cast<std::size_t>(plan.config.batch), plan.policies.size());
  for (std::size_t i = 0; i < wanted; ++i) {
    // The last row may be the largest: as much again as the mean of those before it must be free.
    const std::int64_t taken = resident_bytes() - before;
    if (i > 0 && taken + 2 * taken / static_cast<std::int64_t>(i) > room) break;
    // Spread over the grid: its first policies may be the cheap ones.
    const auto& policy = plan.policies[i * plan.policies.size() / wanted];
    sequences.push_back(decoder.fork(work.prompts.of(*policy), policy, kSteps, work.sample.random_seed()));
    rows.push_back(sequences.back().get());
  }
  std::vector<std::int32_t> fed(rows.size(), work.prompts.of(*plan.full)->ids.back());
  double best_ms = 0;
  for (int step = 0; step < kSteps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    decoder.step(rows, fed);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (step == 1 || (step > 1 && took.count() < best_ms)) best_ms = took.count();
    for (std::size_t i = 0; i < rows.size(); ++i) fed[i] = argmax(rows[i]->logits());
  }
  const auto n = static_cast<std::int64_t>(rows.size());
  return {n, best_ms / static_cast<double>(n), std::max<std::int64_t>(resident_bytes() - before, 0) / n};
}

/// Batches as memory holds them, and what they take; `base`: what the process holds without any.
void estimate_memory(SweepEstimate& estimate, const SweepPlan& plan, std::int64_t base) {
  const auto rows_a_sample = static_cast<std::int64_t>(plan.policies.size()) + 1;  // and the reference
  const auto samples = [&](std::int64_t batch) {
    // The batch stays full across samples: the last rows of one beside the first of another.
    return std::min(std::ssize(plan.samples), (batch + rows_a_sample - 1) / rows_a_sample + 1);
  };
  const auto peak = [&](std::int64_t batch) {
    return base + samples(batch) * estimate.prompt_bytes + batch * estimate.row_bytes;
  };
  estimate.batch = std::min(plan.config.batch, std::ssize(plan.samples) * rows_a_sample);
  while (estimate.batch > 1 && peak(estimate.batch) > estimate.limit_bytes) --estimate.batch;
  estimate.peak_bytes = peak(estimate.batch);
}

/// A line of results.csv at its longest, those of output_error.csv with it.
std::int64_t row_disk_bytes(const SweepPlan& plan, const AttentionPolicy& policy, const SampleSize& size,
                            int n_layers) {
  constexpr std::int64_t kNumbers = 160, kTokenBytes = 5, kNumber = 9;
  SweepRow row;
  row.key = row_key(*plan.samples.front().task, plan.samples.front().spec, policy);
  row.placement = placement_letters(policy.placement());
  row.map = policy.map();
  const std::int64_t blocks =
      size.forced > std::int64_t{kNllBlock} ? size.forced / std::int64_t{kNllBlock} + 1 : 0;
  const std::int64_t errors =
      plan.config.output_error ? n_layers * static_cast<std::int64_t>(row.key.text().size() + 14) : 0;
  return std::ssize(format_row(row)) + kNumbers + size.free * kTokenBytes + blocks * kNumber + errors;
}

/// What a page with its own plotly takes, and one task's figures beside it, as PNG and SVG.
constexpr std::int64_t kPageBytes = 6'000'000, kFigureBytes = 1'000'000;

}  // namespace

SweepEstimate estimate_sweep(Decoder& decoder, const SweepPlan& plan) {
  SampleSizes sizes(plan);
  const SweepPlan::SampleRef* longest = nullptr;
  SampleSize most;
  for (const auto& ref : plan.samples) {
    const SampleSize size = sizes.of(ref);
    if (size.prompt > most.prompt) longest = &ref, most = size;
  }
  SweepEstimate estimate;
  estimate.limit_bytes = memory_limit(plan.config.memory);
  const std::int64_t base = resident_bytes();
  const auto work = prepare_sample(decoder, plan, *longest, plan.policies, 0);
  const MemoryCosts costs(decoder.model().config(), plan.config.kv_dtype);
  const std::int64_t with_prompt = resident_bytes();
  const Trial trial = try_rows(decoder, plan, *work, estimate.limit_bytes - with_prompt);
  estimate.prefill_ms = work->prompts.prefill_ms();
  estimate.row_step_ms = trial.row_step_ms;
  estimate.row_bytes = trial.row_bytes + costs.growth(std::max(most.forced, most.free));
  estimate.prompt_bytes = std::max(with_prompt - base, std::int64_t{0}) + most.forced * costs.vocab * 4;
  estimate_memory(estimate, plan, base);
  double ms = 0;
  for (const auto& ref : plan.samples) {
    const SampleSize size = sizes.of(ref);
    const std::int64_t row_steps = size.row_steps() * static_cast<std::int64_t>(plan.policies.size());
    estimate.row_steps += row_steps;
    // Both grow with the length at least in proportion: of the longest prompt's, a share is an upper bound.
    const double share = static_cast<double>(size.prompt) / static_cast<double>(most.prompt);
    ms += estimate.prefill_ms * share + estimate.row_step_ms * static_cast<double>(row_steps);
    for (const auto& policy : plan.policies)
      estimate.disk_bytes += row_disk_bytes(plan, *policy, size, decoder.model().config().n_layers);
  }
  estimate.seconds = ms / 1000;
  estimate.disk_bytes += kPageBytes + kFigureBytes * std::ssize(plan.tasks);
  return estimate;
}

}  // namespace tide
