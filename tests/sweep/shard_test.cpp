#include "sweep/shard.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A task whose prompts are as long as their spec says, and which nobody decodes.
class LongPrompts final : public Task {
 public:
  const std::string& name() const override { return name_; }
  bool has_depth() const override { return false; }
  Sample sample(const SampleSpec& spec) const override {
    Sample sample;
    sample.spec = spec;
    sample.prompt_ids.resize(static_cast<std::size_t>(spec.length));
    sample.answer_ids.resize(8);
    sample.max_new_tokens = 32;
    return sample;
  }
  Score score(const Sample&, std::string_view) const override { return {}; }

 private:
  std::string name_ = "long";
};

/// Lengths of 1 K but for two of 64 K, under one policy.
SweepPlan uneven_plan() {
  SweepPlan plan;
  plan.tasks.push_back(std::make_unique<LongPrompts>());
  plan.policies.push_back(policy_of("full"));
  for (std::int64_t i = 0; i < 20; ++i)
    plan.samples.push_back({plan.tasks[0].get(), {i == 3 || i == 4 ? 65536 : 1024, std::nullopt, i, 0}});
  return plan;
}

TEST(Shard, EverySampleIsInOneShard) {
  const auto model = tiny_model(DType::f32);
  const SweepPlan plan = tiny_plan(*model, {"full"}, 7, 4);  // 14 samples
  for (const std::int64_t count : {1, 2, 3, 5, 14}) {
    std::vector<std::size_t> all;
    std::size_t least = 99, most = 0;
    for (const auto& shard : cut_samples(plan, count)) {
      EXPECT_TRUE(std::is_sorted(shard.begin(), shard.end()));
      all.insert(all.end(), shard.begin(), shard.end());
      least = std::min(least, shard.size()), most = std::max(most, shard.size());
    }
    EXPECT_EQ(all.size(), 14u);
    EXPECT_EQ(std::set(all.begin(), all.end()).size(), 14u);
    EXPECT_LE(most - least, 1u) << count;  // alike in cost: alike in number
  }
  EXPECT_THAT([&] { cut_samples(plan, 15); }, ThrowsMessage<InputError>(HasSubstr("15 shards")));
}

TEST(Shard, CostlyPromptsAreSpread) {
  const SweepPlan plan = uneven_plan();
  const auto shards = cut_samples(plan, 3);
  EXPECT_EQ(shards[0], std::vector<std::size_t>{3});
  EXPECT_EQ(shards[1], std::vector<std::size_t>{4});
  EXPECT_EQ(shards[2].size(), 18u);
}

TEST(Shard, KeepsItsSamplesAndTheFirstAloneMeasuresLatency) {
  const auto model = tiny_model(DType::f32);
  std::set<std::string> keys;
  for (std::int64_t index = 1; index <= 3; ++index) {
    SweepPlan plan = tiny_plan(*model, {"full", "window:budget=40"}, 2, 4);
    plan.config.latency_steps = 5;
    const ShardedSweep sweep = cut_sweep(plan, 3);
    keep_shard(plan, {index, 3});
    EXPECT_EQ(plan.config.latency_steps, index == 1 ? 5 : 0);
    std::vector<std::string> ours;
    for (const auto& sample : plan.samples) {
      for (const auto& policy : plan.policies)
        ours.push_back(row_key(*sample.task, sample.spec, *policy).text());
    }
    EXPECT_EQ(ours, sweep.parts[static_cast<std::size_t>(index - 1)]);
    keys.insert(ours.begin(), ours.end());
    EXPECT_EQ(sweep.keys.size(), 8u);
    EXPECT_TRUE(sweep.latency);
  }
  EXPECT_EQ(keys.size(), 8u);
}

TEST(Shard, IsWrittenAsItIsRead) {
  const Shard shard = parse_shard("3/16");
  EXPECT_EQ(shard.index, 3);
  EXPECT_EQ(shard.count, 16);
  EXPECT_EQ(shard.text(), "3/16");
  EXPECT_EQ(shard.folder_name(), "003-of-016");
  EXPECT_EQ((Shard{7, 4096}.folder_name()), "007-of-4096");
  for (const char* text : {"", "3", "3/", "/3", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/2/3"})
    EXPECT_THROW(parse_shard(text), InputError) << text;
}

}  // namespace
}  // namespace tide::testing
