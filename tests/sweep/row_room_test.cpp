#include "sweep/row_room.h"

#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A model whose rows would take gigabytes: what is resident is nothing beside them.
ModelConfig large() {
  ModelConfig config;
  config.n_layers = 100;
  config.n_heads = 64;
  config.n_kv_heads = 64;
  config.head_dim = 128;
  config.hidden_size = config.ffn_size = 8192;
  config.vocab_size = 100'000;
  return config;
}

class Room : public ::testing::Test {
 protected:
  void SetUp() override {
    auto of_ten = std::make_shared<Prompt>();
    of_ten->ids.resize(1000);
    prompt = of_ten;
  }
  DecodeJob job(std::int64_t steps = 100) {
    DecodeJob job;
    job.prompt = prompt;
    job.max_steps = steps;
    job.next = [](const Sequence&, const StepCost&) { return std::optional<std::int32_t>(0); };
    job.done = [this] { ++ended; };
    job.failed = [this](const std::string&) { ++ended; };
    return job;
  }

  MemoryCosts costs{large(), "bf16"};
  std::int64_t row = costs.row(1000), growth = costs.growth(100);
  std::shared_ptr<const Prompt> prompt;
  int ended = 0;
};

TEST_F(Room, ABoundIsTheSizeOfWhatItBounds) {
  EXPECT_EQ(costs.kv_position, 2LL * 100 * 64 * 128 * 2);
  EXPECT_EQ(MemoryCosts(large(), "fp32").kv_position, 2 * costs.kv_position);
  EXPECT_GE(row, 1000 * costs.kv_position);
  const SampleSize size{1000, 300, 0};
  EXPECT_GE(costs.prompt(size, 2, true), 2000 * costs.kv_position);
  EXPECT_EQ(costs.prompt(size, 1, false) - costs.prompt(size, 1, true), 44 * 100'000 * 4);
}

TEST_F(Room, TheFirstRowAlwaysFitsAndOthersWhileThereIsRoom) {
  RowRoom none(costs, 1);
  EXPECT_TRUE(none.fits_row(job()));
  EXPECT_TRUE(none.fits_prompt({1000, 10, 0}, 1, true));
  const DecodeJob first = none.admit(job());
  EXPECT_FALSE(none.fits_row(job()));
  EXPECT_FALSE(none.fits_prompt({1000, 10, 0}, 1, true));

  RowRoom three(costs, resident_bytes() + 3 * (row + growth) + row / 2);
  std::vector<DecodeJob> jobs;
  while (three.fits_row(job())) jobs.push_back(three.admit(job()));
  EXPECT_EQ(jobs.size(), 3u);
  jobs[0].done();
  EXPECT_EQ(ended, 1);
  EXPECT_TRUE(three.fits_row(job()));
  jobs[1].failed("it cannot begin");
  EXPECT_EQ(ended, 2);
}

TEST_F(Room, AfterItsFirstStepARowCountsByWhatItHoldsAndWillAppend) {
  const auto model = tiny_model(DType::f32);
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 1});
  const auto sequence =
      decoder.fork(decoder.prefill(std::vector<std::int32_t>{1, 2, 3}), policy_of("full"), 4);
  RowRoom room(costs, resident_bytes() + 3 * (row + growth) + row / 2);
  std::vector<DecodeJob> jobs;
  while (room.fits_row(job())) jobs.push_back(room.admit(job()));
  EXPECT_EQ(jobs.size(), 3u);
  for (DecodeJob& one : jobs) one.next(*sequence, {});
  room.look();
  EXPECT_TRUE(room.fits_row(job()));
  // What they will append still counts: 3.5 rows' room and 3 growths are there, 3 growths taken.
  std::size_t more = 0;
  while (room.fits_row(job())) jobs.push_back(room.admit(job())), ++more;
  EXPECT_EQ(more, static_cast<std::size_t>((3 * row + row / 2) / (row + growth)));
}

TEST_F(Room, WhatIsHeldCounts) {
  RowRoom room(costs, resident_bytes() + 2 * (row + growth) + (64 << 20));
  const DecodeJob first = room.admit(job());
  EXPECT_TRUE(room.fits_row(job()));
  std::vector<char> held(256 << 20);
  std::memset(held.data(), 1, held.size());
  room.look();
  EXPECT_FALSE(room.fits_row(job())) << held[100];
}

TEST(SweepMemory, TooLittleForOneRowIsRefusedAndLittleIsEnough) {
  const auto model = tiny_model(DType::f32);
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 1});
  SweepPlan plan = tiny_plan(*model, {"full", "window:budget=40", "h2o:budget=300"}, 2, 64);
  plan.config.memory = "1MB";
  const auto path = fresh_path("sweep_memory.csv");
  {
    ResultsFile results(path);
    EXPECT_THAT([&] { run_sweep(decoder, plan, results, {}); },
                ThrowsMessage<InputError>(HasSubstr("memory: 1MB are too little")));
  }
  plan.config.memory = std::to_string(resident_bytes() + (12 << 20));
  ResultsFile results(path);
  EXPECT_TRUE(run_sweep(decoder, plan, results, {}).complete());
}

}  // namespace
}  // namespace tide::testing
