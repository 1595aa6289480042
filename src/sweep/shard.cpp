#include "sweep/shard.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "sweep/sample_size.h"

namespace tide {

namespace {

/// What a sample costs, in the time of passing one position of a short prompt. Measured ratios, rounded:
/// attention doubles a position's cost at some 2 K, and a row's step in a full batch costs two positions.
/// They only balance the shards.
double cost_of(const SampleSize& size, std::size_t n_policies) {
  constexpr double kDoubled = 2048, kStep = 2;
  const double longer = 1 + static_cast<double>(size.prompt) / kDoubled;
  const auto row_steps = static_cast<double>(size.row_steps() * static_cast<std::int64_t>(n_policies));
  return longer * (static_cast<double>(size.prompt) + kStep * row_steps);
}

/// The costliest first, each to the shard that has least so far.
std::vector<std::vector<std::size_t>> balance(const std::vector<double>& cost, std::size_t count) {
  std::vector<std::size_t> order(cost.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return cost[a] > cost[b]; });
  std::vector<std::vector<std::size_t>> shards(count);
  std::vector<double> load(count);
  for (const std::size_t sample : order) {
    const auto least = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    shards[least].push_back(sample);
    load[least] += cost[sample];
  }
  for (auto& shard : shards) std::sort(shard.begin(), shard.end());
  return shards;
}

}  // namespace

std::string Shard::text() const { return fmt::format("{}/{}", index, count); }

std::string Shard::folder_name() const { return fmt::format("{:03}-of-{:03}", index, count); }

Shard parse_shard(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() != 2) fail_input("shard '{}': expected I/N, such as 3/16", text);
  const Shard shard{parse_integer(parts[0], "shard"), parse_integer(parts[1], "shard")};
  if (shard.count < 1 || shard.index < 1 || shard.index > shard.count)
    fail_input("shard '{}': expected I/N with I in 1..N", text);
  return shard;
}

std::vector<std::vector<std::size_t>> cut_samples(const SweepPlan& plan, std::int64_t count) {
  if (count > std::ssize(plan.samples)) {
    fail_input("{} shards: a shard has one prompt at least, and the sweep has {}", count,
               plan.samples.size());
  }
  SampleSizes sizes(plan);
  std::vector<double> cost;
  for (const auto& sample : plan.samples) cost.push_back(cost_of(sizes.of(sample), plan.policies.size()));
  return balance(cost, static_cast<std::size_t>(count));
}

void keep_shard(SweepPlan& plan, const Shard& shard) {
  const auto cut = cut_samples(plan, shard.count);
  std::vector<SweepPlan::SampleRef> samples;
  for (const std::size_t sample : cut[static_cast<std::size_t>(shard.index - 1)])
    samples.push_back(plan.samples[sample]);
  plan.samples = std::move(samples);
  if (shard.index != 1) plan.config.latency_steps = 0;
}

ShardedSweep cut_sweep(const SweepPlan& plan, std::int64_t count) {
  ShardedSweep sweep;
  sweep.config_toml = to_toml(plan.config);
  sweep.output_error = plan.config.output_error;
  sweep.latency = plan.config.latency_steps > 0;
  const auto keys_of = [&](const SweepPlan::SampleRef& sample, std::vector<std::string>& keys) {
    for (const auto& policy : plan.policies)
      keys.push_back(row_key(*sample.task, sample.spec, *policy).text());
  };
  for (const auto& sample : plan.samples) keys_of(sample, sweep.keys);
  for (const auto& samples : cut_samples(plan, count)) {
    auto& keys = sweep.parts.emplace_back();
    for (const std::size_t sample : samples) keys_of(plan.samples[sample], keys);
  }
  return sweep;
}

std::filesystem::path shards_folder(const std::filesystem::path& out) { return out / "shards"; }

std::filesystem::path shard_folder(const std::filesystem::path& out, const Shard& shard) {
  return shards_folder(out) / shard.folder_name();
}

std::string shard_config(const std::string& config_toml, const Shard& shard) {
  return config_toml + "\n# shard " + shard.text() + "\n";
}

}  // namespace tide
