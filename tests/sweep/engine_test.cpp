#include "sweep/engine.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "sweep/csv.h"
#include "sweep/estimate.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

const std::vector<std::string> kSpecs = {"full", "tidal:budget=32,select=2", "random:budget=48",
                                         "window:budget=40"};

/// Rows of a file by key, without the columns that time decides.
std::map<std::string, std::vector<std::string>> untimed_rows(const std::filesystem::path& path) {
  std::map<std::string, std::vector<std::string>> rows;
  const auto lines = split(read_text(path), '\n');
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    auto fields = parse_csv_line(lines[i]);
    for (const char* timed : {"prefill_ms", "decode_ms_per_token", "batch"}) {
      const auto& columns = result_columns();
      fields[static_cast<std::size_t>(std::find(columns.begin(), columns.end(), timed) - columns.begin())] =
          "";
    }
    rows[fields[0] + "/" + fields[2] + "/" + fields[3] + "/" + fields[5]] = fields;
  }
  return rows;
}

std::string field(const std::vector<std::string>& row, const char* column) {
  const auto& columns = result_columns();
  return row[static_cast<std::size_t>(std::find(columns.begin(), columns.end(), column) - columns.begin())];
}

class Sweep : public ::testing::Test {
 protected:
  SweepOutcome run(const std::filesystem::path& path, std::int64_t batch, const SweepHooks& hooks = {}) {
    ResultsFile results(path);
    return run_sweep(decoder, tiny_plan(*model, kSpecs, 2, batch), results, hooks);
  }
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  Decoder decoder{model, {.kv_dtype = DType::f32, .n_threads = 2}};
};

TEST_F(Sweep, EveryPolicyGetsARowOfEverySample) {
  const auto path = fresh_path("sweep_rows.csv");
  const SweepOutcome outcome = run(path, 64);
  EXPECT_EQ(outcome.written, 16);
  EXPECT_TRUE(outcome.complete());
  const auto rows = untimed_rows(path);
  ASSERT_EQ(rows.size(), 16u);
  for (const auto& [key, row] : rows) {
    EXPECT_EQ(field(row, "status"), "ok");
    const bool full = key.find("full") != std::string::npos;
    if (full) {
      EXPECT_EQ(field(row, "kl"), "0");
      EXPECT_EQ(field(row, "agree"), "1");
    } else {
      EXPECT_GT(parse_number(field(row, "kl"), key), 0);
    }
    // Full attention reads everything; the others, whose first two layers are full in some, less.
    const double rows_read = parse_number(field(row, "rows_read"), key);
    EXPECT_EQ(rows_read >= 420, full) << key;
  }
}

TEST_F(Sweep, TheHitsOfASelectionCacheAreWrittenOfWhoHasOne) {
  const auto path = fresh_path("sweep_reuse.csv");
  {
    ResultsFile results(path);
    run_sweep(decoder,
              tiny_plan(*model, {"full", "quest:budget=32", "tokenselect:budget=32,threshold=-1"}, 1, 64),
              results, {});
  }
  for (const auto& [key, row] : untimed_rows(path)) {
    const std::string rate = field(row, "reuse_rate");
    if (key.find("tokenselect") == std::string::npos) {
      EXPECT_EQ(rate, "") << key;
    } else {
      // The first step's vote serves all the rest.
      const double steps = parse_number(field(row, "tokens"), key);
      EXPECT_NEAR(parse_number(rate, key), (steps - 1) / steps, 1e-4);
    }
  }
}

TEST_F(Sweep, APolicyThatReadsThePromptSparselyHasAPromptOfItsOwn) {
  const std::string sparse = "tokenselect:budget=64,prefill=sparse,chunk=64";
  const auto alone = fresh_path("sweep_dense.csv"), mixed = fresh_path("sweep_prefill.csv");
  for (const auto& path : {alone, mixed}) {
    std::vector<std::string> specs = {"full", "tokenselect:budget=64"};
    if (path == mixed) specs.insert(specs.begin() + 1, sparse);
    ResultsFile results(path);
    run_sweep(decoder, tiny_plan(*model, specs, 1, 3), results, {});
  }
  auto expected = untimed_rows(alone), rows = untimed_rows(mixed);
  const SweepPlan plan = tiny_plan(*model, {sparse}, 1, 1);
  const Sample sample = plan.tasks.front()->sample(plan.samples.front().spec);
  const auto prompt = decoder.prefill(sample.prompt_ids, nullptr, {}, {}, plan.policies[0].get());
  auto ids = decode(decoder, prompt, plan.policies[0], 32, nullptr, {}, sample.random_seed()).ids;
  const auto end = std::find(ids.begin(), ids.end(), model->tokenizer().eos_id());
  if (end != ids.end()) ids.erase(end + 1, ids.end());
  const auto& row = rows.at("needle/0.2/0/" + plan.policies[0]->canonical());
  EXPECT_EQ(field(row, "status"), "ok");
  EXPECT_EQ(field(row, "output"),
            parse_csv_line(csv_line({to_valid_utf8(model->tokenizer().decode(ids))})).front());
  EXPECT_NE(field(row, "kl"),
            field(expected.at("needle/0.2/0/" + policy_of("tokenselect:budget=64")->canonical()), "kl"));
  std::erase_if(rows, [](const auto& one) { return one.first.find("prefill=sparse") != std::string::npos; });
  EXPECT_EQ(rows, expected);  // the others' prompt is the dense one still
}

TEST_F(Sweep, ARowDoesNotKnowItsBatch) {
  const auto together = fresh_path("sweep_together.csv"), alone = fresh_path("sweep_alone.csv");
  run(together, 64);
  run(alone, 1);
  EXPECT_EQ(untimed_rows(together), untimed_rows(alone));
}

TEST_F(Sweep, TheOutputIsThePolicysOwnGreedyAnswer) {
  const auto path = fresh_path("sweep_greedy.csv");
  run(path, 5);
  const SweepPlan plan = tiny_plan(*model, kSpecs, 1, 1);
  const Sample sample = plan.tasks.front()->sample(plan.samples.front().spec);
  const auto prompt = decoder.prefill(sample.prompt_ids);
  const auto rows = untimed_rows(path);
  for (const auto& policy : plan.policies) {
    auto ids = decode(decoder, prompt, policy, 32, nullptr, {}, sample.random_seed()).ids;
    const auto end = std::find(ids.begin(), ids.end(), model->tokenizer().eos_id());
    if (end != ids.end()) ids.erase(end + 1, ids.end());
    const auto& row = rows.at("needle/0.2/0/" + policy->canonical());
    EXPECT_EQ(field(row, "tokens"), std::to_string(ids.size()));
    const std::string line = csv_line({to_valid_utf8(model->tokenizer().decode(ids))});
    EXPECT_EQ(field(row, "output"), parse_csv_line(line).front());
  }
}

TEST_F(Sweep, TeacherForcedMeasuresEqualADirectComputation) {
  const auto path = fresh_path("sweep_forced.csv");
  run(path, 7);
  const SweepPlan plan = tiny_plan(*model, kSpecs, 1, 1);
  const Sample sample = plan.tasks.front()->sample(plan.samples.front().spec);
  const auto prompt = decoder.prefill(sample.prompt_ids);
  const auto n = static_cast<std::int64_t>(sample.answer_ids.size());
  const auto softmax = [](const std::vector<float>& logits) {
    std::vector<double> prob(logits.begin(), logits.end());
    double sum = 0;
    for (double& value : prob) sum += value = std::exp(value);
    for (double& value : prob) value /= sum;
    return prob;
  };
  const auto forced = [&](const PolicyPtr& policy) {
    return decode(decoder, prompt, policy, n, nullptr, sample.answer_ids, sample.random_seed()).logits;
  };
  const auto full = forced(plan.full);
  const auto rows = untimed_rows(path);
  for (const auto& policy : plan.policies) {
    const auto logits = forced(policy);
    double logprob = 0, kl = 0, agree = 0;
    for (std::size_t t = 0; t < logits.size(); ++t) {
      const auto p = softmax(full[t]), q = softmax(logits[t]);
      logprob += std::log(q[static_cast<std::size_t>(sample.answer_ids[t])]);
      for (std::size_t i = 0; i < p.size(); ++i) kl += p[i] * std::log(p[i] / q[i]);
      agree += argmax(full[t]) == argmax(logits[t]) ? 1 : 0;
    }
    const auto& row = rows.at("needle/0.2/0/" + policy->canonical());
    const auto steps = static_cast<double>(n);
    EXPECT_NEAR(parse_number(field(row, "answer_logprob"), "answer_logprob"), logprob / steps, 1e-4);
    EXPECT_NEAR(parse_number(field(row, "kl"), "kl"), kl / steps, 1e-4);
    EXPECT_NEAR(parse_number(field(row, "agree"), "agree"), agree / steps, 1e-5);
  }
}

TEST_F(Sweep, RowsReadIsAMeanOverLayersAndSteps) {
  const auto path = fresh_path("sweep_rows_read.csv");
  run(path, 64);
  const auto rows = untimed_rows(path);
  EXPECT_EQ(field(rows.at("needle/0.2/0/" + policy_of("window:budget=40")->canonical()), "rows_read"), "40");
  // Full attention at step t reads 420 + t rows.
  const auto& full = rows.at("needle/0.2/0/full");
  const double steps = parse_number(field(full, "tokens"), "tokens");
  EXPECT_NEAR(parse_number(field(full, "rows_read"), "rows_read"), 420 + (steps - 1) / 2, 1e-3);
}

TEST_F(Sweep, AResumedRunEndsLikeAnUninterruptedOne) {
  const auto whole = fresh_path("sweep_whole.csv"), resumed = fresh_path("sweep_resumed.csv");
  run(whole, 3);
  int asked = 0;
  SweepHooks stop_early;
  stop_early.interrupted = [&] { return ++asked > 12; };
  const SweepOutcome first = run(resumed, 3, stop_early);
  EXPECT_GT(first.written, 0);
  EXPECT_FALSE(first.complete());
  const SweepOutcome second = run(resumed, 3);
  EXPECT_EQ(second.found, first.written);
  EXPECT_TRUE(second.complete());
  EXPECT_EQ(untimed_rows(resumed), untimed_rows(whole));
  EXPECT_EQ(run(resumed, 3).written, 0);
}

TEST_F(Sweep, APolicyThatCannotBeginGivesAFailedRow) {
  const auto path = fresh_path("sweep_failed.csv");
  SweepPlan plan = tiny_plan(*model, {"full", "window:budget=40"}, 1, 8);
  plan.config.new_tokens = 200;  // 420 + 200 positions: beyond the tiny model's 512
  ResultsFile results(path);
  const SweepOutcome outcome = run_sweep(decoder, plan, results, {});
  EXPECT_EQ(outcome.failed, 4);
  for (const auto& [key, row] : untimed_rows(path)) {
    EXPECT_NE(field(row, "status"), "ok");
    EXPECT_EQ(field(row, "correct"), "");
  }
}

TEST_F(Sweep, TheEstimateCountsEveryRow) {
  const SweepPlan plan = tiny_plan(*model, kSpecs, 2, 64);
  const SweepEstimate estimate = estimate_sweep(decoder, plan);
  const auto answer =
      static_cast<std::int64_t>(plan.tasks.front()->sample(plan.samples.front().spec).answer_ids.size());
  EXPECT_EQ(estimate.row_steps, 16 * (32 + answer));
  EXPECT_GT(estimate.seconds, 0);
}

}  // namespace
}  // namespace tide::testing
