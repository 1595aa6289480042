#include "sweep/latency.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "sweep/csv.h"
#include "sweep/prompts.h"

namespace tide {

namespace {

/// One policy's sequence and its times.
struct Timed {
  std::unique_ptr<Sequence> sequence;
  std::int32_t fed_id;
  std::vector<double> step_ms;
};

double step_ms(Decoder& decoder, Timed& timed) {
  const std::array<Sequence*, 1> rows = {timed.sequence.get()};
  const std::array<std::int32_t, 1> fed = {timed.fed_id};
  const auto begin = std::chrono::steady_clock::now();
  decoder.step(rows, fed);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  timed.fed_id = argmax(timed.sequence->logits());
  return took.count();
}

LatencyMeasure summary(const AttentionPolicy& policy, std::int64_t length, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  LatencyMeasure measure;
  measure.policy = policy.canonical();
  measure.placement = placement_letters(policy.placement());
  measure.budget = policy.budget();
  measure.map = policy.map();
  measure.length = length;
  measure.steps = static_cast<std::int64_t>(times.size());
  measure.kv_len = length + 1 + measure.steps / 2;
  measure.median_ms = quantile(times, 0.5);
  measure.low_ms = quantile(times, 0.25);
  measure.high_ms = quantile(times, 0.75);
  return measure;
}

}  // namespace

double quantile(const std::vector<double>& sorted, double share) {
  TIDE_ASSERT(!sorted.empty());
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - std::floor(at)) * (sorted[above] - sorted[below]);
}

std::vector<LatencyMeasure> measure_latency(Decoder& decoder, const SweepPlan& plan,
                                            const std::function<bool()>& interrupted,
                                            const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const auto task = make_task("text", {plan.config.text, true}, decoder.model().tokenizer());
  const std::int64_t rounds = plan.config.latency_steps + 1;
  const auto n_policies = plan.policies.size();
  const auto total = rounds * static_cast<std::int64_t>(plan.config.latency_lengths.size());
  std::vector<LatencyMeasure> measures;
  std::int64_t done = 0;
  for (const std::int64_t length : plan.config.latency_lengths) {
    const Prompts prompts(decoder, task->sample({length, std::nullopt, 0, 0}).prompt_ids, plan.policies);
    std::vector<Timed> timed;
    for (const auto& policy : plan.policies) {
      const auto& prompt = prompts.of(*policy);
      timed.push_back({decoder.fork(prompt, policy, rounds), prompt->ids.back(), {}});
    }
    for (std::int64_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < n_policies; ++i) {
        Timed& one = timed[(i + static_cast<std::size_t>(round)) % n_policies];
        const double ms = step_ms(decoder, one);
        if (round > 0) one.step_ms.push_back(ms);
      }
      if (progress) progress(++done, total);
      if (interrupted && interrupted()) return {};
    }
    for (std::size_t i = 0; i < n_policies; ++i) {
      measures.push_back(summary(*plan.policies[i], length, std::move(timed[i].step_ms)));
    }
  }
  return measures;
}

void write_latency(const std::filesystem::path& path, const std::vector<LatencyMeasure>& measures) {
  std::string text = "policy,placement,budget,map,length,kv_len,batch,median_ms,low_ms,high_ms,steps\n";
  for (const LatencyMeasure& m : measures) {
    text += csv_line({m.policy, m.placement, m.budget, m.map, std::to_string(m.length),
                      std::to_string(m.kv_len), std::to_string(m.batch), csv_number(m.median_ms),
                      csv_number(m.low_ms), csv_number(m.high_ms), std::to_string(m.steps)}) +
            "\n";
  }
  write_text_atomically(path, text);
}

}  // namespace tide
