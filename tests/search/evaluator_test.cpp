// The search's measure on the tiny model: teacher-forced, every candidate a fork, what was measured is kept.

#include "search/evaluator.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "sweep/fidelity.h"
#include "tests/support/expect_error.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

class EvaluatorRun : public ::testing::Test {
 protected:
  Evaluator evaluator(const std::filesystem::path& path, SweepHooks hooks = {},
                      Criterion criterion = Criterion::logprob) {
    return {decoder,
            tiny_plan(*model, {"full"}, 2, 8),
            path,
            criterion,
            [](const Candidate& candidate) {
              return policy_of("tidal:budget=32,sinks=4,recent=8,full=0,select=" + candidate.text());
            },
            std::move(hooks)};
  }
  /// Mean log-probability of a sample's answer, from plain decoding.
  double direct(const SweepPlan::SampleRef& ref, const std::string& spec) {
    const Sample sample = ref.task->sample(ref.spec);
    const auto logits =
        decode(decoder, decoder.prefill(sample.prompt_ids), policy_of(spec), std::ssize(sample.answer_ids),
               nullptr, sample.answer_ids, sample.random_seed())
            .logits;
    double sum = 0;
    std::vector<float> log_prob;
    for (std::size_t t = 0; t < sample.answer_ids.size(); ++t) {
      log_softmax(logits[t], log_prob);
      sum += log_prob[static_cast<std::size_t>(sample.answer_ids[t])];
    }
    return sum / static_cast<double>(sample.answer_ids.size());
  }
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  Decoder decoder{model, {.kv_dtype = DType::f32, .n_threads = 2}};
};

TEST_F(EvaluatorRun, MeasuresWhatPlainDecodingGives) {
  auto measured = evaluator(fresh_path("evaluator.csv"));
  const std::vector<Candidate> candidates = {{{1}}, {{1, 2}}};
  const auto standings = measured.measure(candidates, 1, 3);
  ASSERT_EQ(standings.size(), 2u);
  const SweepPlan plan = tiny_plan(*model, {"full"}, 2, 8);
  for (const Standing& standing : standings) {
    ASSERT_EQ(standing.worth.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      const double wanted = direct(
          plan.samples[1 + i], "tidal:budget=32,sinks=4,recent=8,full=0,select=" + standing.candidate.text());
      EXPECT_NEAR(standing.worth[i], wanted, 1e-4);
    }
  }
  EXPECT_LT(standings[0].rows_read, standings[1].rows_read);
}

TEST_F(EvaluatorRun, AgreementIsCountedAgainstFullAttentionsOwnTokens) {
  const auto path = fresh_path("evaluator_agree.csv");
  const std::vector<Candidate> candidates = {{{1}}, {{1, 2, 3}}};
  const auto by_logprob = evaluator(path).measure(candidates, 0, 4);
  const auto by_agreement = evaluator(path, {}, Criterion::agree).measure(candidates, 0, 4);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    EXPECT_NEAR(by_logprob[i].mean(), by_logprob[i].answer_logprob, 1e-9);
    EXPECT_NEAR(by_agreement[i].mean(), by_agreement[i].agree + 0.01 * by_agreement[i].answer_logprob, 1e-9);
    EXPECT_EQ(by_agreement[i].answer_logprob, by_logprob[i].answer_logprob);
  }
  // Directly: the most likely tokens of both, fed the reference.
  const SweepPlan plan = tiny_plan(*model, {"full"}, 2, 8);
  double agree = 0;
  for (const auto& ref : plan.samples) {
    const Sample sample = ref.task->sample(ref.spec);
    const auto run = [&](const std::string& spec) {
      return decode(decoder, decoder.prefill(sample.prompt_ids), policy_of(spec),
                    std::ssize(sample.answer_ids), nullptr, sample.answer_ids, sample.random_seed())
          .logits;
    };
    const auto full = run("full"), sparse = run("tidal:budget=32,sinks=4,recent=8,full=0,select=1");
    for (std::size_t t = 0; t < full.size(); ++t)
      agree += argmax(full[t]) == argmax(sparse[t]) ? 0.25 / static_cast<double>(full.size()) : 0;
  }
  EXPECT_NEAR(by_agreement[0].agree, agree, 1e-5);
}

TEST_F(EvaluatorRun, WhatStandsInTheFileIsNotDecodedAgain) {
  const auto path = fresh_path("evaluator_resumed.csv");
  const std::vector<Candidate> candidates = {{{1}}, {{2}}};
  const auto first = evaluator(path).measure(candidates, 0, 4);
  const std::string written = read_text(path);
  SweepHooks hooks;
  std::int64_t last_done = -1;
  hooks.progress = [&](std::int64_t done, std::int64_t) { last_done = done; };
  const auto again = evaluator(path, hooks).measure(candidates, 0, 4);
  EXPECT_EQ(read_text(path), written);
  EXPECT_EQ(last_done, 8);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(again[i].worth, first[i].worth);
    EXPECT_EQ(again[i].rows_read, first[i].rows_read);
  }
}

TEST_F(EvaluatorRun, ASpecThatNoPolicyIsMadeOfIsRefused) {
  auto measured = evaluator(fresh_path("evaluator_refused.csv"));
  const std::vector<Candidate> absent = {{{77}}};
  expect_input_error([&] { measured.measure(absent, 0, 1); }, "77");
}

}  // namespace
}  // namespace tide::testing
